"""Picture maths: pure functions of float arrays, rows (height) before columns (width)."""
