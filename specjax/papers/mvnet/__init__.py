"""Mvnet paper: "Music Visualization Network Towards Audio to Image Synthesis using cDCGAN" (Natalia Koliou, no year).

Pictures in the style of five eras of art, generated from clips of music.
"""

import lazy_loader

# `__init__.pyi` lists the public names.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
