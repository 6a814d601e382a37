"""Plain programs that specjax is benchmarked against, written in NumPy, SciPy, PyTorch and librosa as a user would.

Each module is a program that times one or more benchmarks and prints the result as one JSON line. None uses code of
specjax, except for the test clips.
"""
