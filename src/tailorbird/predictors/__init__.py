"""What turns encodings into a prediction with its uncertainty."""

from tailorbird.predictors.accuracy import AccuracyPredictor
from tailorbird.predictors.adapted_sum import AdaptedSum
from tailorbird.predictors.additive import Additive, AdditiveAccuracy
from tailorbird.predictors.auto import AutoPredictor
from tailorbird.predictors.calibrated_sum import CalibratedSum
from tailorbird.predictors.completion import complete
from tailorbird.predictors.few_shot import FewShotLatency
from tailorbird.predictors.inferred_sum import InferredSum
from tailorbird.predictors.known import KnownAccuracy
from tailorbird.predictors.named import accuracy_predictor
from tailorbird.predictors.prediction import FloatArray, Prediction, Predictor
from tailorbird.predictors.table_sum import TableSum
from tailorbird.predictors.unmeasured import WorkloadLatency

__all__ = [
    "AccuracyPredictor",
    "AdaptedSum",
    "Additive",
    "AdditiveAccuracy",
    "AutoPredictor",
    "CalibratedSum",
    "FewShotLatency",
    "FloatArray",
    "InferredSum",
    "KnownAccuracy",
    "Prediction",
    "Predictor",
    "TableSum",
    "WorkloadLatency",
    "accuracy_predictor",
    "complete",
]
