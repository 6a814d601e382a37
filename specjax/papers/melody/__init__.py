"""Melody paper: "MELodyGAN: Exploring the Generation of Mel Spectrograms Using Generative Adversarial Networks".

By Victor Lee, Eric Wu and Isaiah Baker; no year stated. Generation of ten-second mel spectrograms in ten genres.
"""

import lazy_loader

# `__init__.pyi` lists the public names.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
