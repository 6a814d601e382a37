"""Composition of the synthetic band: what makes a genre, the notes of a track, and the sounds of its instruments."""
