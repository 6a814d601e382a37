"""Training engine for any task. It uses a task only through the interface in `engine.task`."""
