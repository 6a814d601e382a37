"""Plots of spectrograms and audio features, and grids of images."""
