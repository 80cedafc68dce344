"""What tells drawn from real: features, distances, privacy, classifiers."""
