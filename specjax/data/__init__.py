"""Input data: validated file readers on the host, and the shuffled order of training examples."""
