"""Composition of synthetic music: styles of the genres, notes of a track, and sounds of the instruments."""
