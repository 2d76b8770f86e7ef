"""Scores of networks that were never trained. Free of torch until something is scored."""

from tailorbird.predictors.accuracy.zero_cost.features import ZeroCostFeatures
from tailorbird.predictors.accuracy.zero_cost.scoring import NAMES, ZeroCost, scores

__all__ = ["NAMES", "ZeroCost", "ZeroCostFeatures", "scores"]
