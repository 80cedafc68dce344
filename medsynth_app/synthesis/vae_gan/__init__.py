"""A 3-D variational autoencoder with a patch discriminator; its latents also feed the diffusion model."""
