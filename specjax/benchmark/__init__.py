"""Benchmarks: compilation and timing of functions, peak speed of the machine (roofline), and tables and plots."""
