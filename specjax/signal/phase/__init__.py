"""Phase reconstruction: estimates of the phases of spectrograms whose magnitudes alone are known."""
