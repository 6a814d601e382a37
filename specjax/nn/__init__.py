"""Small linen blocks that the wings share."""
