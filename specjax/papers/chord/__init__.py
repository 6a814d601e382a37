"""Chord paper: "U-Net-Based Spectrogram Generation for Major Triad Chords" (Leiter, Khoo and Ozel 2023).

A U-Net turns a 28x28 digit into a 1008x1008 spectrogram of a chord, which is then converted to sound.
"""

import lazy_loader

# `__init__.pyi` lists the public names.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
