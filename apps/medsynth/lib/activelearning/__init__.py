"""MONAI Label active-learning strategies, one file each."""
