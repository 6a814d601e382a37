"""Audio signal processing: pure functions on JAX arrays.

Waves are float32 arrays with values in [-1, 1]. Time is the last axis, unless the name of an axis says otherwise.
"""
