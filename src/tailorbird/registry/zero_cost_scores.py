"""Zero-cost scores by the names of `[accuracy] zero_cost`: a line each."""

from collections.abc import Mapping

_HERE = "tailorbird.predictors.accuracy.zero_cost"
ZERO_COST_SCORES: Mapping[str, str] = {
    "gradsign": f"{_HERE}.gradients:gradsign",
    "gradient_norm": f"{_HERE}.gradients:gradient_norm",
    "synflow": f"{_HERE}.synflow:synflow",
    "naswot": f"{_HERE}.naswot:naswot",
    "macs": f"{_HERE}.size:macs",
    "parameters": f"{_HERE}.size:parameters",
}
"""Python paths of functions of the `ZeroCost` protocol."""
