"""Labelled brain-tumour cases without training: growth model first, then images from the labels."""
