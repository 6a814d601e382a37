"""Schedules and the guarded update."""
