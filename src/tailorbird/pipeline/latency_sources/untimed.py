"""What sources have in common whose tables are not measured here."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NoReturn

import numpy as np
from numpy.typing import NDArray

from tailorbird.errors import RecipeError
from tailorbird.latency_tables import Configuration, Device, LatencyTable, Program, Record
from tailorbird.pipeline.latency_sources.prediction import LatencyPrediction
from tailorbird.pipeline.latency_sources.source import Estimates, nothing_to_adapt_from
from tailorbird.pipeline.planned_work import PlannedWork
from tailorbird.progress import Progress
from tailorbird.spaces import CALL

if TYPE_CHECKING:
    from torch import nn

    from tailorbird.pipeline.latency_sources.adaptation import Adapted
    from tailorbird.predictors import Predictor

ESTIMATE = "have them predicted with [latency] estimate_missing = true"
"""What else a user can do whose table lacks workloads."""


def not_measured_here(device: str) -> RecipeError:
    """Error that says why nothing is measured."""
    return RecipeError(
        f"The table of {device!r} was measured elsewhere; nothing is measured for it here. "
        'To measure this machine, write [device] name = "local".'
    )


class UntimedLatency(ABC):
    """Latencies predicted from a table of others; nothing is measured here.

    Attributes:
        device: that the table is of.
    """

    device: Device

    step: ClassVar = "table"
    runs_networks: ClassVar = False
    losses: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def configuration(self) -> Configuration:
        """Configuration that the table was measured under."""

    @abstractmethod
    def table(self) -> LatencyTable:
        """All rows of the table."""

    @property
    @abstractmethod
    def _prediction(self) -> LatencyPrediction: ...

    @property
    @abstractmethod
    def _estimates(self) -> Estimates: ...

    @property
    @abstractmethod
    def _predictor(self) -> "Predictor": ...

    def require(self) -> None:  # noqa: B027  # nothing to override
        """Does nothing: nothing is measured, so no package is needed."""

    def check(self) -> None:
        """Tries a predictor of the user's own, if the recipe names one."""
        self._prediction.check(self.configuration())

    def obtain(self, progress: Progress) -> None:
        """Refuses a table that lacks what the space needs."""
        self.predictor()

    def profile(self, networks: Path | None, progress: Progress) -> LatencyTable:
        """Refuses: nothing is measured."""
        raise not_measured_here(self.device.name)

    def adapt(self, n_samples: int | None, progress: Progress) -> "Adapted":
        """Refuses: there are no tables to adapt from."""
        raise nothing_to_adapt_from()

    def planned(self, n_networks: int) -> tuple[PlannedWork, ...]:
        """Nothing is left to measure."""
        what = f"nothing: latencies are from the table of {self.device.name}"
        return (PlannedWork("measure", what, 0.0),)

    def timed(self, programs: Sequence[Program], rounds: int, progress: Progress) -> LatencyTable:
        """An empty table: nothing is timed."""
        return LatencyTable(self.device.name, self.configuration(), {}, {})

    def predictor(self) -> "Predictor":
        """The predictor that the recipe names; its table is completed if that is asked for."""
        return self._predictor

    def n_estimated(self) -> int:
        """Number of workloads that were never measured, and are predicted."""
        return self._estimates.n(self.table())

    def summary(self) -> dict[str, object]:
        """How latencies are predicted."""
        return self._prediction.summary

    def needed(self) -> LatencyTable:
        """The whole table."""
        return self.table()

    def measure_again(self, progress: Progress) -> NoReturn:
        """Refuses: nothing is measured here."""
        raise not_measured_here(self.device.name)

    def library(self, network: "nn.Module", images: NDArray[np.float32]) -> None:
        """None: nothing is compiled for a device that is not here."""
        return

    def close(self) -> None:  # noqa: B027  # nothing to override: there are no processes
        """Does nothing: there are no processes."""


def imported_remarks(record: Record) -> tuple[str, ...]:
    """Sentences on where a table of others is from, and on what it does not say."""
    entries = record.table(1).entries
    sources = {
        str(session.provenance.get("source", session.provenance.get("file", "a file")))
        for session in record.sessions.values()
    }
    remarks = [
        "No network was timed here: latencies are predicted from a table of "
        f"{record.device} that was imported from {' and '.join(sorted(sources))}."
    ]
    unknown = sum(latency.spread is None for latency in entries.values())
    if unknown:
        remarks.append(
            f"{unknown} of {len(entries)} rows of that table state no spread, so the uncertainty "
            "of latencies is that of the others only."
        )
    if CALL.key not in entries:
        remarks.append(
            "That table has no row for the empty program: its rows are added up as they are."
        )
    return tuple(remarks)
