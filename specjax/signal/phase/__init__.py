"""Phases for magnitudes that have lost theirs, so that they can be heard."""
