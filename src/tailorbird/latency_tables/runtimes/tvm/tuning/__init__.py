"""Tuning: search over the plans of kernels, its database and its process."""
