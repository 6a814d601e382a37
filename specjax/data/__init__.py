"""Input data: file readers that validate what they read, and the random order of training examples."""
