"""Small flax.linen modules shared by the papers."""
