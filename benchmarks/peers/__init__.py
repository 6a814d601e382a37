"""The same works in SciPy and PyTorch, as a user would plainly write them: what specjax is timed against.

Each is a program of its own that shares no code with the rest of specjax and prints one JSON line.
"""
