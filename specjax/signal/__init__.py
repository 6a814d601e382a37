"""Sound maths: pure functions, waves as float32 in [-1, 1], time on the last axis unless a name says otherwise."""
