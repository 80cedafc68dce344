"""The training loop that all generators share."""
