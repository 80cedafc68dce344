"""Conditional diffusion of pictures: one network for all modalities, on linear codes of patches."""
