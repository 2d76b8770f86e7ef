"""Predictors of accuracy, from networks that were evaluated."""
