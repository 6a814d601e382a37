"""Phase reconstruction: methods that estimate the phases of a spectrogram from its magnitudes."""
