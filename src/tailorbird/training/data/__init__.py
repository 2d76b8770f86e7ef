"""Data sets and changes of their images."""
