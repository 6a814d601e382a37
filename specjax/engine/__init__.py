"""Training engine: trains any task. It knows a task only through the protocol in `engine.task`."""
