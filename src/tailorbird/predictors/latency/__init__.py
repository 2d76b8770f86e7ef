"""Predictors of latency, from tables of workloads or networks that were timed."""
