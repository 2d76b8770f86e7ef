"""Data sets and augmentations of their images."""
