"""StyleGAN2 with adaptive augmentation, native PyTorch: a generator for small image collections."""
