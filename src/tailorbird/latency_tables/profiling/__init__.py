"""Filling a table: what is timed, in which order, and how it is checked."""
