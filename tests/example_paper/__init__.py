"""Example paper of docs/architecture.md: a line fitted to noisy points."""
