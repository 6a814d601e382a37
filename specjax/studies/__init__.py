"""Questions that a paper leaves open, as sets of runs that answer them."""
