"""Optimizers and schedules for training, and minimization of loss functions outside of it."""
