"""Image operations: pure functions of float arrays with the axes (height, width); some accept leading batch axes."""
