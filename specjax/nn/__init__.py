"""Small flax.linen modules that the networks of several papers share."""
