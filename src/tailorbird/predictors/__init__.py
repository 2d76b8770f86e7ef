"""Predictors of latency and accuracy: from encodings to values with their uncertainty."""

from tailorbird.predictors.accuracy.additive import AdditiveAccuracy
from tailorbird.predictors.accuracy.inputs import AccuracyInputs
from tailorbird.predictors.accuracy.lookup import KnownAccuracy
from tailorbird.predictors.accuracy.registry import accuracy_predictor
from tailorbird.predictors.accuracy.vote import AccuracyPredictor
from tailorbird.predictors.counted_costs import (
    PeakMemory,
    WorkloadSum,
    mega_macs,
    mega_params,
    peak_mib,
    weight_mib,
)
from tailorbird.predictors.latency.adapted_sum import AdaptedSum
from tailorbird.predictors.latency.calibrated_sum import CalibratedSum
from tailorbird.predictors.latency.few_shot import FewShotLatency
from tailorbird.predictors.latency.inferred_sum import InferredSum
from tailorbird.predictors.latency.inputs import LatencyInputs
from tailorbird.predictors.latency.made_up_devices import made_up_costs
from tailorbird.predictors.latency.missing_workloads import complete
from tailorbird.predictors.latency.table_sum import TableSum
from tailorbird.predictors.latency.workload_latency import WorkloadLatency
from tailorbird.predictors.prediction import Additive, Learner, Prediction, Predictor
from tailorbird.spaces import FloatArray

__all__ = [
    "AccuracyInputs",
    "AccuracyPredictor",
    "AdaptedSum",
    "Additive",
    "AdditiveAccuracy",
    "CalibratedSum",
    "FewShotLatency",
    "FloatArray",
    "InferredSum",
    "KnownAccuracy",
    "LatencyInputs",
    "Learner",
    "PeakMemory",
    "Prediction",
    "Predictor",
    "TableSum",
    "WorkloadLatency",
    "WorkloadSum",
    "accuracy_predictor",
    "complete",
    "made_up_costs",
    "mega_macs",
    "mega_params",
    "peak_mib",
    "weight_mib",
]
