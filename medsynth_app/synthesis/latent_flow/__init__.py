"""Rectified flow of the autoencoder's codes: the ``diffusion`` generator of volumes."""
