"""Reports of a run: progress line, metrics log, samples, TensorBoard events, profiler traces."""
