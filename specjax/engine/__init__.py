"""The roof: trains any task. Knows a wing only through `engine.task`."""
