"""Latency tables as files, ours and others'."""
