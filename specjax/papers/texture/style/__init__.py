"""Style transfer between sounds."""
