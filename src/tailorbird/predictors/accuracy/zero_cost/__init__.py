"""Scores of networks that were never trained. Free of torch until something is scored."""

from tailorbird.predictors.accuracy.zero_cost.features import ZeroCostFeatures
from tailorbird.predictors.accuracy.zero_cost.scoring import ZeroCost, scores, zero_cost_scores

__all__ = ["ZeroCost", "ZeroCostFeatures", "scores", "zero_cost_scores"]
