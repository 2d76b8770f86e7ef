"""Compilation of a torch module into a shared library, step by step."""
