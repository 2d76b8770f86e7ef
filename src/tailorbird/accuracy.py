"""Where the accuracies of a run come from."""

from typing import Protocol

from tailorbird.predictors import Predictor
from tailorbird.progress import Progress
from tailorbird.reports import Accuracies


class AccuracySource(Accuracies, Protocol):
    """What a run asks of it, besides what reports need."""

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a reader of a report on these accuracies must not miss."""

    def check(self) -> None:
        """Refuses what cannot work, before hours of measuring."""

    def predictor(self, latency: Predictor, progress: Progress) -> Predictor:
        """Learned from some networks that were truly evaluated."""
