"""Phase reconstruction: phases for spectrograms of which only the magnitudes are known."""
