"""Whether an image was generated here, and whether two are the same."""
