"""Runtimes, which compile and time networks: a folder per runtime, and a line in `registry.py`."""
