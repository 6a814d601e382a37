"""Texture paper: "Audio spectrogram representations for processing with Convolutional Neural Networks" (Wyse).

Spectrograms of sound files, and sound files from spectrograms by reconstructing phases.
"""
