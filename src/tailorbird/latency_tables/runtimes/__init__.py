"""Whatever compiles and times networks: a folder per runtime, and a line in `registry.py`."""
