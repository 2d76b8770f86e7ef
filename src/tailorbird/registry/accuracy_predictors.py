"""Accuracy predictors by the names of `[accuracy] predictor`: a line each."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AccuracyPredictorEntry:
    """An accuracy predictor, and what recipes may ask of it.

    Attributes:
        path: Python path of what makes it, unfitted, from `AccuracyInputs`.
        tunes: True if it spends `predictor_seconds` on hyperparameters.
        takes_features: True if it learns from zero-cost scores as well.
        adds_up: True if it is `Additive`, as exact searches of large spaces need.
        compares_pairs: True if time and memory grow with the square of the networks that it learns
            from, which are limited therefore.
    """

    path: str
    tunes: bool = False
    takes_features: bool = True
    adds_up: bool = False
    compares_pairs: bool = False


_MODELS = "tailorbird.predictors.accuracy.models"
ACCURACY_PREDICTORS: Mapping[str, AccuracyPredictorEntry] = {
    "auto": AccuracyPredictorEntry(f"{_MODELS}:auto", tunes=True, compares_pairs=True),
    "process": AccuracyPredictorEntry(f"{_MODELS}:process", compares_pairs=True),
    "process-totals": AccuracyPredictorEntry(f"{_MODELS}:process_totals", compares_pairs=True),
    "process-places": AccuracyPredictorEntry(f"{_MODELS}:process_places", compares_pairs=True),
    "ridge": AccuracyPredictorEntry(f"{_MODELS}:ridge"),
    "forest": AccuracyPredictorEntry(f"{_MODELS}:forest"),
    "boosting": AccuracyPredictorEntry(f"{_MODELS}:boosted_trees"),
    "perceptrons": AccuracyPredictorEntry(f"{_MODELS}:averaged_perceptrons"),
    "additive": AccuracyPredictorEntry(
        "tailorbird.predictors.accuracy.additive:additive", takes_features=False, adds_up=True
    ),
}


def entry_of(name: str) -> AccuracyPredictorEntry:
    """Entry of a name; that of a Python path forbids nothing."""
    own = AccuracyPredictorEntry(name, tunes=True, adds_up=True)
    return ACCURACY_PREDICTORS.get(name, own)
