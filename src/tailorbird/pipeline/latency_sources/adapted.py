"""Latencies of a device adapted from known devices, by a few networks timed on it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from tailorbird.errors import DeviceError, MissingStepError, RecipeError
from tailorbird.latency_tables import Record, shipped
from tailorbird.pipeline.database import RunDatabase
from tailorbird.pipeline.latency_sources.measured import MeasuredLatency, measured_device
from tailorbird.pipeline.own_code.runtime import runtime_name
from tailorbird.progress import Progress
from tailorbird.recipe import Recipe
from tailorbird.spaces import SearchSpace

if TYPE_CHECKING:
    from tailorbird.pipeline.latency_sources.adaptation import Adaptation, Adapted
    from tailorbird.predictors import Predictor


def opened(
    recipe: Recipe,
    home: Path,
    space: SearchSpace,
    database: RunDatabase,
    warn: Callable[[str], object],
) -> "AdaptedLatency | None":
    """Opens the source of a recipe that names tables to adapt from; None for another one.

    Raises:
        RecipeError: if there is no such device, or no such table.
    """
    asked = recipe.latency
    if not asked.adapt_from:
        return None
    device = measured_device(recipe, database.folder, warn)
    name = recipe.space.name or space.name
    runtime = runtime_name(asked.runtime, home)
    try:
        known = tuple(shipped.known(table, name, runtime) for table in asked.adapt_from)
    except DeviceError as error:
        raise RecipeError(f"[latency] adapt_from: {error}") from None
    return AdaptedLatency(recipe, home, space, device, database, known)


@dataclass(frozen=True)
class AdaptedLatency(MeasuredLatency):
    """Sums over workloads of known devices, adapted by networks that are timed on this one.

    Attributes:
        known: tables of those devices.
    """

    known: tuple[Record, ...]

    step: ClassVar = "adapt"

    def no_table(self) -> MissingStepError:
        """Names the command that measures."""
        return MissingStepError(
            "There is no table for this recipe yet. Make it with `tailorbird adapt RECIPE`."
        )

    def check(self) -> None:
        """Does nothing: `obtain` refuses tables that do not fit before it measures."""

    def obtain(self, progress: Progress) -> None:
        """Measures the networks that latencies are adapted by."""
        self.adapt(None, progress)

    def adapt(self, n_samples: int | None, progress: Progress) -> "Adapted":
        """Measures the networks that latencies are adapted by, as far as they are not in the table.

        Args:
            n_samples: how many, the first ones the same, however many; as the recipe says if None.
            progress: where it reports to.

        Raises:
            RecipeError: if the tables to adapt from do not fit.
            MeasurementError: if any network could not be measured.
        """
        adaptation = self._adaptation(n_samples)
        table = self.filled(adaptation.programs, progress)
        self.__dict__.pop("_adapted", None)  # of fewer networks
        return adaptation.adapted(table)

    def predictor(self) -> "Predictor":
        """The predictor that the timed networks give."""
        return self._adapted.latency

    def n_estimated(self) -> int:
        """Zero: what is not measured is adapted."""
        return 0

    def remarks(self) -> tuple[str, ...]:
        """Says from what latencies are adapted, how well, and whether they need not be."""
        from tailorbird.predictors.latency.missing_workloads import missing_workloads

        adapted = (str(self._adapted),)
        if missing_workloads(self.space, self.table()):
            return adapted
        whole = (
            "All workloads of this device were measured as well: drop [latency] adapt_from to "
            "search with its own table."
        )
        return (*adapted, whole)

    def summary(self) -> dict[str, object]:
        """Devices and networks that latencies are adapted by."""
        return {"adapted": self._adapted.summary}

    def _adaptation(self, n_samples: int | None) -> "Adaptation":
        from tailorbird.pipeline.latency_sources.adaptation import Adaptation

        n = self.recipe.latency.n_samples if n_samples is None else n_samples
        adaptation = Adaptation(self.space, self.known, n)
        adaptation.refuse_itself(self.configuration())
        return adaptation

    @cached_property
    def _adapted(self) -> "Adapted":
        """Adaptation by all networks that were timed when it was first asked for.

        Raises:
            RecipeError: if the tables to adapt from do not fit.
            MissingStepError: if not all networks were timed.
        """
        table = self.table()
        return self._adaptation(None).extended(table).adapted(table)
