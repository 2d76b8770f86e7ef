"""Basis of a run's figures: which accuracies and which latencies they are."""

from tailorbird.pipeline.accuracy_sources.source import AccuracySource
from tailorbird.pipeline.latency_sources.source import LatencySource
from tailorbird.reports.finetuned import ACCURACIES_OF, LATENCIES_OF


def basis_of(latency: LatencySource, accuracy: AccuracySource) -> dict[str, str]:
    """Texts that must be equal for networks to be compared, as tables and summaries have them.

    Args:
        latency: latencies of networks.
        accuracy: their accuracies.
    """
    return {
        ACCURACIES_OF: accuracy.basis(),
        LATENCIES_OF: f"{latency.device.name}: {latency.configuration().key}",
    }
