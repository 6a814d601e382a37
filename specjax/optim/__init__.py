"""Schedules, optimizers, and minimization of functions."""
