"""Exact fronts: a dynamic program, an integer program and their common problem."""
