"""Latency tables as predictors see them; free of runtimes and databases."""
