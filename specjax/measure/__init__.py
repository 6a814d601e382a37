"""Measures that judge results: arrays in, numbers out."""
