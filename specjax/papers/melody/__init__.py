"""Melody paper: "MELodyGAN: Exploring the Generation of Mel Spectrograms Using Generative Adversarial Networks".

By Victor Lee, Eric Wu and Isaiah Baker; no year stated. Generation of ten-second mel spectrograms in ten genres.
"""
