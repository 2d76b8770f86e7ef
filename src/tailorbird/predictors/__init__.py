"""What turns encodings into a prediction with its uncertainty."""

from tailorbird.predictors.accuracy.additive import AdditiveAccuracy
from tailorbird.predictors.accuracy.ensemble import AutoPredictor
from tailorbird.predictors.accuracy.lookup import KnownAccuracy
from tailorbird.predictors.accuracy.registry import accuracy_predictor
from tailorbird.predictors.accuracy.single_model import AccuracyPredictor
from tailorbird.predictors.latency.adapted_sum import AdaptedSum
from tailorbird.predictors.latency.calibrated_sum import CalibratedSum
from tailorbird.predictors.latency.few_shot import FewShotLatency
from tailorbird.predictors.latency.inferred_sum import InferredSum
from tailorbird.predictors.latency.missing_workloads import complete
from tailorbird.predictors.latency.table_sum import TableSum
from tailorbird.predictors.latency.workload_latency import WorkloadLatency
from tailorbird.predictors.prediction import Additive, Prediction, Predictor
from tailorbird.spaces import FloatArray

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
