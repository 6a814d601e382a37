"""Metrics of results, such as accuracy and distances between sets of embeddings: arrays in, numbers out."""

import lazy_loader

# `__init__.pyi` lists the public names.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
