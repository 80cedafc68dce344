"""From a study as it comes to a mask on it."""
