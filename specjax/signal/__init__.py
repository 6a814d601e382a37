"""Audio signal processing: pure functions on JAX arrays.

Waves are float32 arrays with values in [-1, 1]. Time is the last axis, unless the name of an axis says otherwise.
Arrays may be given as JAX arrays, NumPy arrays or lists of floats. Integers are an error: scale them to floats first.
"""

import lazy_loader

# `__init__.pyi` lists the public names.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
