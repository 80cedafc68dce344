"""Conditional 2-D diffusion of images."""
