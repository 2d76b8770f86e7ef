"""Where the accuracies of a run come from."""

from typing import TYPE_CHECKING, Protocol

from tailorbird.predictors import FloatArray, Predictor
from tailorbird.progress import Progress
from tailorbird.spaces import IntArray

if TYPE_CHECKING:
    from torch import nn


class Accuracies(Protocol):
    """Accuracies of networks, wherever they come from."""

    @property
    def description(self) -> str:
        """Says in a report what these accuracies are."""

    @property
    def fingerprint(self) -> str:
        """Changes with any weight."""

    @property
    def n_validation(self) -> int:
        """Images behind an accuracy that the search may know."""

    @property
    def n_test(self) -> int:
        """Images behind an accuracy that is reported."""

    def validation(self, X: IntArray, progress: Progress) -> FloatArray:
        """What the search may know of canonical rows (n, d), (n,); NaN where nobody knows."""

    def test(self, X: IntArray, progress: Progress) -> FloatArray:
        """What is reported of canonical rows (n, d), (n,); NaN where nobody knows."""

    def network(self, row: IntArray) -> "nn.Module":
        """The network of a canonical row, to be timed."""


class AccuracySource(Accuracies, Protocol):
    """What a run asks of it, besides what reports need."""

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a reader of a report on these accuracies must not miss."""

    def check(self) -> None:
        """Refuses what cannot work, before hours of measuring."""

    def predictor(self, latency: Predictor, progress: Progress) -> Predictor:
        """Learned from some networks that were truly evaluated."""
