"""Torch modules of each family, under the name of the family."""
