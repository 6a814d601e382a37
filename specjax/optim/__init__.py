"""Optimizers and schedules for training, and minimization of loss functions outside of it."""

import lazy_loader

# `__init__.pyi` lists the public names.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
