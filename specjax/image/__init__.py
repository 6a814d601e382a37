"""Image operations: pure functions of float arrays of shape (height, width)."""
