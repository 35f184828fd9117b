"""The ways down: where to begin, the outer descent, many starts, and what is told meanwhile."""
