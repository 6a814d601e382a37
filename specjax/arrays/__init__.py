"""Array helpers shared by all packages."""
