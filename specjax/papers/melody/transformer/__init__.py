"""Music by a causal transformer, which predicts the next few frames of a mel spectrogram from those before."""
