"""Audio signal processing: pure functions on JAX arrays.

Waves are float32 in [-1, 1]. Time is the last axis unless a name says otherwise.
"""
