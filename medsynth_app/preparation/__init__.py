"""A raw study (whole head, each series on a grid of its own) -> a prepared case, and the way back."""
