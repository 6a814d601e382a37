"""Reporting of a run: progress line, metrics log, samples, TensorBoard events and profiler traces."""
