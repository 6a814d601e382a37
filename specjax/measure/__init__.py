"""Measures that judge results: arrays in, numbers out. Those of generative models compare embeddings."""

import lazy_loader

# `__init__.pyi` lists the public names.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
