"""What `medsynth train` and the server start: folders in, weights out."""
