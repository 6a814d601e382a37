"""Chord U-Net paper: from a 28x28 digit to a 1008x1008 spectrogram of a chord, and to its sound."""
