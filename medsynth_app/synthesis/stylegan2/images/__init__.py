"""Images of any modality by StyleGAN2."""
