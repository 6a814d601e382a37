"""Benchmarks: compiled programs, timing in turns, the machine's roofline, tables and plots."""
