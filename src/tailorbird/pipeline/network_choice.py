"""Choice of one network of a run, by its text or by a largest latency."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tailorbird.errors import RecipeError, exactly
from tailorbird.reports.choice import fastest_enough, named
from tailorbird.spaces import IntArray, SearchSpace


@dataclass(frozen=True, slots=True)
class NetworkChoice:
    """What a user says of the network that is meant.

    Attributes:
        architecture: its text, as reports have it; of all networks of the space.
        max_latency_ms: otherwise the most accurate one of the checked front that is as fast.
        device: that this latency is of; the first of the search if None.
    """

    architecture: str | None = None
    max_latency_ms: float | None = None
    device: str | None = None

    def __str__(self) -> str:
        if self.architecture is not None:
            return "by its name"
        if self.max_latency_ms is None:
            return "the most accurate of the checked front, on validation images"
        on = "" if self.device is None else f" on {self.device}"
        return (
            f"the most accurate of the checked front within {exactly(self.max_latency_ms)} ms{on}, "
            "on validation images"
        )

    def row(self, front: Path, space: SearchSpace, devices: Sequence[str]) -> IntArray:
        """Canonical row (d,) of the network.

        Args:
            front: `front.parquet` of the run.
            space: of the networks.
            devices: names of those of the search, that of the run first.

        Raises:
            RecipeError: if two are meant, or none is there.
            MissingStepError: if a front is needed, and not there yet.
            InfeasibleError: if no network of the front is fast enough.
        """
        if self.architecture is not None and self.max_latency_ms is not None:
            raise RecipeError("Name an architecture or a largest latency, not both.")
        if self.device is not None and self.max_latency_ms is None:
            raise RecipeError("A device is for the largest latency there: name one, or no device.")
        if self.device is not None and self.device not in devices:
            raise RecipeError(
                f"The search was for {', '.join(map(repr, devices))}, not for {self.device!r}. Add "
                "it to [search] devices, and search again."
            )
        if self.architecture is not None:
            return named(self.architecture, space, front)
        elsewhere = None if self.device in (None, devices[0]) else self.device
        return fastest_enough(front, space, self.max_latency_ms, elsewhere)
