"""Latencies of a device adapted from known devices, by a few networks timed on it."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from tailorbird.errors import DeviceError, MissingStepError, RecipeError
from tailorbird.latency_tables import Program, Record, shipped
from tailorbird.pipeline.latency_sources.measured import MeasuredLatency, measured_device
from tailorbird.pipeline.latency_sources.source import uncompared
from tailorbird.pipeline.opened_recipe import OpenedRecipe
from tailorbird.pipeline.own_code.runtime import runtime_name
from tailorbird.progress import Progress

if TYPE_CHECKING:
    from tailorbird.pipeline.latency_sources.adaptation import Adaptation, Adapted
    from tailorbird.predictors import Predictor


def opened(asked: OpenedRecipe) -> "AdaptedLatency | None":
    """Opens the source of a recipe that names tables to adapt from; None for another one.

    Raises:
        RecipeError: if there is no such device, or no such table.
    """
    recipe, tables = asked.recipe, asked.recipe.latency.adapt_from
    if not tables:
        return None
    device = measured_device(recipe, asked.database.folder, asked.warn)
    name = recipe.space.name or asked.space.name
    runtime = runtime_name(recipe.latency.runtime, asked.home)
    try:
        known = tuple(shipped.known(table, name, runtime) for table in tables)
    except DeviceError as error:
        raise RecipeError(f"[latency] adapt_from: {error}") from None
    return AdaptedLatency(recipe, asked.home, asked.space, device, asked.database, known)


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

    def measure_again(self, progress: Progress) -> int:
        """Measures distrusted networks anew, that latencies are adapted by."""
        n = super().measure_again(progress)
        self.__dict__.pop("_adapted", None)
        return n

    @property
    def _needed_programs(self) -> list[Program]:
        """The networks that latencies are adapted by."""
        return [*self._adaptation(None).programs]

    def predictor(self) -> "Predictor":
        """The predictor that the timed networks give."""
        return self._adapted.latency

    def n_estimated(self) -> int:
        """Zero: what is not measured is adapted."""
        return 0

    def remarks(self) -> tuple[str, ...]:
        """Says from what latencies are adapted, how well, and whether they need not be."""
        from tailorbird.predictors.latency.missing_workloads import missing_workloads

        table = self.table()
        adapted = (str(self._adapted), *uncompared(table))
        if missing_workloads(self.space, table):
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
