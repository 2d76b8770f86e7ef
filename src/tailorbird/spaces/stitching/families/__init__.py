"""Families of anchors, one a module."""
