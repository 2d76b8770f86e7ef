"""Runs of recipes: where their latencies and accuracies come from, their search and report."""
