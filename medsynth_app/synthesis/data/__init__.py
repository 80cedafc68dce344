"""Training images and volumes from folders, and arrays as images."""
