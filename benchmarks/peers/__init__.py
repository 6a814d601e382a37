"""Plain peers: the benchmarks of specjax in NumPy, SciPy, PyTorch and librosa, as a user would write them.

Each is a program that prints its result as one JSON line. None uses code of specjax, except for the test clips.
"""
