"""Chord wing: a 28x28 digit becomes a 1008x1008 spectrogram of a chord and a sound (chord U-Net paper)."""
