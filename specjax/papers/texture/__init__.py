"""Texture paper: "Audio spectrogram representations for processing with Convolutional Neural Networks" (Wyse 2017).

Spectrograms of sound files, and sound files from spectrograms by reconstructing phases.
"""
