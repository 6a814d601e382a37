"""Texture paper: "Audio spectrogram representations for processing with Convolutional Neural Networks" (Wyse 2017).

Spectrograms of sound files, and sound files from spectrograms by reconstructing phases.
"""

import lazy_loader

# `__init__.pyi` lists the public names.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
