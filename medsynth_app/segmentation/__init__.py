"""Brain-tumour segmentation: one set of transforms, networks by name, training and inference."""
