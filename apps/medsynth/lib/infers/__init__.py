"""MONAI Label inference tasks, one file each."""
