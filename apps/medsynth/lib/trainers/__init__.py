"""MONAI Label training tasks, one file each."""
