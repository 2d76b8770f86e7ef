"""Protocol of latency sources: what a run asks of the latencies of its device.

Predictors are loaded when one is made: what is wrong in a recipe is said before.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from tailorbird.errors import MissingStepError, RecipeError
from tailorbird.latency_tables import Configuration, Device, LatencyTable, Program, Record
from tailorbird.latency_tables.formats.foreign import ForeignTable
from tailorbird.latency_tables.tables.configuration import tell
from tailorbird.pipeline.planned_work import PlannedWork
from tailorbird.progress import Progress
from tailorbird.spaces import SearchSpace

if TYPE_CHECKING:
    from torch import nn

    from tailorbird.pipeline.latency_sources.adaptation import Adapted
    from tailorbird.predictors import Predictor


class LatencySource(Protocol):
    """Latencies of the networks of one space on one device."""

    @property
    def step(self) -> str:
        """Name of the step that `obtain` is, in logs and summaries."""

    @property
    def runs_networks(self) -> bool:
        """True if networks and workloads are built and timed here."""

    @property
    def device(self) -> Device:
        """The device that latencies are of."""

    @property
    def losses(self) -> tuple[str, ...]:
        """Sentences on a device that went away meanwhile and came back."""

    def require(self) -> None:
        """Refuses to go on without the packages that measure.

        Raises:
            MissingPackageError: if any of them is not installed.
        """

    def configuration(self) -> Configuration:
        """Configuration that all rows were measured under."""

    def has_table(self) -> bool:
        """True if there may be a table; no database is made for the question."""

    def no_table(self) -> MissingStepError:
        """Error that says how to get a table where there is none."""

    def record(self) -> Record:
        """All that is known under the configuration, raw."""

    def table(self) -> LatencyTable:
        """Latencies as predictors see them."""

    def check(self) -> None:
        """Refuses what cannot work, before hours of measuring."""

    def obtain(self, progress: Progress) -> None:
        """Obtains all that `predictor` needs: measures it, or refuses what is not there."""

    def profile(self, networks: Path | None, progress: Progress) -> LatencyTable:
        """Measures every workload of the space, and whole networks, that are not in the table.

        Args:
            networks: Parquet file of rows of the space.
            progress: where it reports to.

        Raises:
            MeasurementError: if any could not be measured.
            EncodingError: if the networks do not fit the space.
            RecipeError: if the table is not measured here.
        """

    def needed(self) -> LatencyTable:
        """Rows of programs that the predictor needs, as far as they were measured or failed."""

    def measure_again(self, progress: Progress) -> int:
        """Measures needed rows anew that are distrusted, and those that are missing.

        Returns:
            How many there were.

        Raises:
            MeasurementError: if any could not be measured.
            RecipeError: if the table is not measured here.
        """

    def adapt(self, n_samples: int | None, progress: Progress) -> "Adapted":
        """Measures the networks that latencies are adapted by, as far as they are not in the table.

        Args:
            n_samples: how many, the first ones the same, however many; as the recipe says if None.
            progress: where it reports to.

        Raises:
            RecipeError: if the recipe names no tables to adapt from, or they do not fit.
            MeasurementError: if any network could not be measured.
        """

    def planned(self, n_networks: int) -> tuple[PlannedWork, ...]:
        """What is left to measure, of which a little is measured to tell how long it takes.

        Args:
            n_networks: that reports time whole.

        Raises:
            MeasurementError: if nothing can be measured here.
        """

    def timed(self, programs: Sequence[Program], rounds: int, progress: Progress) -> LatencyTable:
        """The table with these programs timed, or failed; an empty one where nothing is timed."""

    def predictor(self) -> "Predictor":
        """Predictor of the latency of any network of the space.

        Raises:
            MissingWorkloadError: if the table lacks a workload that is not to be estimated.
            RecipeError: likewise, where it was measured elsewhere.
            MissingStepError: if what it needs was not imported or measured yet.
            TooFewNeighboursError: if there is not enough to estimate a workload from.
        """

    def n_estimated(self) -> int:
        """Number of workloads that were never measured, and are predicted."""

    def remarks(self) -> tuple[str, ...]:
        """Sentences that a reader of these latencies must not miss."""

    def summary(self) -> dict[str, object]:
        """Content of `summary.json` that only this kind of source has."""

    def accept(self, record: Record, file: Path) -> Record:
        """Returns the content of an exported file, once it is known to fit.

        Raises:
            RecipeError: if it does not.
        """

    def accept_foreign(self, table: ForeignTable, file: Path) -> Record:
        """Returns what others measured as a record, once it is known to fit.

        Raises:
            RecipeError: if it does not.
        """

    def add(self, record: Record) -> int:
        """Keeps what was accepted; returns how many rounds and failures are new."""

    def library(self, network: "nn.Module", images: NDArray[np.float32]) -> "Library | None":
        """A network compiled for the device, run and timed there; None if TVM is not what measures.

        Args:
            network: in evaluation mode.
            images: that it is run with, as many as a batch has.

        Raises:
            MeasurementError: if it cannot be compiled or run.
        """

    def close(self) -> None:
        """Ends processes that compiled programs run in."""


@dataclass(frozen=True, slots=True, eq=False)
class Library:
    """A network as TVM compiled it for a device.

    Attributes:
        path: of the library, which lies in a folder for files in transit.
        weights: path of its weights, "0", "1", …, which follow its images as arguments.
        outputs: that it gave for some images.
        median_ms: latency of these in a row.
    """

    path: Path
    weights: Path
    outputs: NDArray[np.float32]
    median_ms: float

    @property
    def files(self) -> tuple[Path, Path]:
        """The library and its weights."""
        return self.path, self.weights


@dataclass(frozen=True, slots=True)
class Estimates:
    """Latencies of workloads that were never measured, where a recipe asks for them.

    Attributes:
        space: of the workloads.
        are_asked: `[latency] estimate_missing`.
    """

    space: SearchSpace
    are_asked: bool

    def complete(self, table: LatencyTable) -> LatencyTable:
        """The table with predictions for what it lacks, if they are asked for."""
        from tailorbird.predictors import complete

        return complete(self.space, table) if self.are_asked else table

    def n(self, table: LatencyTable) -> int:
        """Number of workloads that are estimated."""
        from tailorbird.predictors.latency.missing_workloads import missing_workloads

        return len(missing_workloads(self.space, table)) if self.are_asked else 0

    def remarks(self, table: LatencyTable) -> tuple[str, ...]:
        """Sentence on how many workloads are estimated, if any."""
        n, n_all = self.n(table), len(self.space.workloads)
        if n == 0:
            return ()
        return (
            f"{n} of {n_all} workloads were never measured: their latencies are estimated from "
            "the others, and the uncertainty of the estimates is in that of every network.",
        )


def same_configuration(record: Record, ours: Configuration, file: Path) -> Record:
    """Returns a record that was measured under our configuration, and refuses others.

    Raises:
        RecipeError: if it was not.
    """
    differences = record.configuration.differences(ours)
    if differences:
        raise RecipeError(
            f"The table in {str(file)!r} was not measured as this recipe measures (theirs / ours: "
            f"{tell(differences)}), so it is not added. To search with it, name the file in "
            "[device] name."
        )
    return record


def uncompared(table: LatencyTable) -> tuple[str, ...]:
    """Sentence on how many programs were timed without a look at what they compute, if any."""
    n, n_all = table.n_uncompared, len(table.entries)
    if n == 0:
        return ()
    return (
        f"{n} of {n_all} programs were timed by a command that gives no outputs: what they compute "
        "was not compared with torch.",
    )


def nothing_to_adapt_from() -> RecipeError:
    """Error of a recipe that names no tables to adapt from."""
    return RecipeError(
        "This recipe names no tables of known devices. Write such as [latency] adapt_from "
        '= ["epyc-avx512"]; `tailorbird devices` lists what comes with the package.'
    )
