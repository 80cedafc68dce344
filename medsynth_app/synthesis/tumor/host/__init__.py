"""A tumour grown in a real head: the host's own images, changed only where the tumour is."""
