"""Image files as other programs write them, read strictly."""
