"""Live values: values that may be changed while training runs."""
