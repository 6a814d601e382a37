"""Array helpers that all other packages use."""
