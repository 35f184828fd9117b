"""Each method's own way from a problem to a point to be judged."""
