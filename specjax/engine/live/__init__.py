"""Live values: settings, such as loss weights, that may be changed while training runs."""
