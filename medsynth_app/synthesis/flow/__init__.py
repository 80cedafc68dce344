"""Samplers and losses of diffusion and rectified flow."""
