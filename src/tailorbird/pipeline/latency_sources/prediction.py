"""The latency predictor of a recipe, and the networks that are timed for it to learn from."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tailorbird.errors import (
    MeasurementError,
    MissingStepError,
    MissingWorkloadError,
    PriceError,
    RecipeError,
)
from tailorbird.latency_tables import Configuration, LatencyTable, Program
from tailorbird.latency_tables.profiling.space_programs import network_program
from tailorbird.pipeline.own_code.latency_predictor import (
    MakeLatency,
    latency_predictor_of,
    try_latency_predictor,
)
from tailorbird.recipe import LatencySection
from tailorbird.registry.python_paths import is_path
from tailorbird.spaces import IntArray, SearchSpace

if TYPE_CHECKING:
    from tailorbird.predictors import Predictor

_ENUMERATED = 50_000  # networks; of larger spaces hardly any is drawn twice
_DRAWN = 256  # at a time, however many are wanted, so that the first ones stay the same


@dataclass(frozen=True)
class LatencyPrediction:
    """How a recipe predicts latencies from what is measured.

    Attributes:
        space: of the networks.
        asked: the recipe's section.
        home: folder of the recipe, in which users' modules are looked for.
    """

    space: SearchSpace
    asked: LatencySection
    home: Path

    @cached_property
    def X(self) -> IntArray:  # noqa: N802  # as the papers call it
        """Networks to learn from, (n, d): reference architectures, then others at random.

        The first ones are the same, however many there are.

        Raises:
            RecipeError: if the space has fewer networks.
        """
        n, space = self._n_samples, self.space
        if n > space.size:
            given = f"got {n:,}" if self.asked.samples else f"{n:,} is what it is if left out"
            raise RecipeError(
                f"[latency] samples must be at most {space.size:,}, the number of networks of "
                f"{space.name}, but {given}. Write samples = {space.size} or less."
            )
        rng = np.random.default_rng(0)
        X = _distinct(space.landmarks)
        while len(X) < n:
            drawn = (
                rng.permutation(np.vstack(list(space.enumerate())))
                if space.size <= _ENUMERATED
                else space.sample(_DRAWN, rng)
            )
            X = _distinct(np.vstack([X, drawn]))
        return X[:n]

    def check(self, configuration: Configuration) -> None:
        """Tries a predictor of a user's own on made-up latencies.

        Args:
            configuration: of the table to come.

        Raises:
            RecipeError: if it does not do what it must, or there are fewer networks than samples.
        """
        _ = self.X, self._make
        if is_path(self.asked.predictor):
            try_latency_predictor(self._make, self.space, configuration, self._n_samples)

    @property
    def programs(self) -> list[Program]:
        """The networks, whole, under keys of the store."""
        return [network_program(self.space, row) for row in self.X]

    @property
    def remarks(self) -> tuple[str, ...]:
        """Says in a report how latencies are predicted, unless by the sum of a table."""
        if self.asked.predictor == "table-sum":
            return ()
        from_networks = f" from {len(self.X)} networks that were timed whole" if len(self.X) else ""
        return (f"Latencies are predicted by {self.asked.predictor}{from_networks}.",)

    @property
    def summary(self) -> dict[str, object]:
        """Content of `summary.json` on how latencies are predicted."""
        return {"latency_predictor": self.asked.predictor, "n_latency_samples": self._n_samples}

    def predictor(self, table: LatencyTable) -> "Predictor":
        """Fits the predictor to the networks and a table.

        Raises:
            MissingStepError: if a network is not in the table.
            MissingWorkloadError: if a workload is not, and the predictor needs it.
            MeasurementError: if nothing follows from what was measured.
        """
        from tailorbird.predictors import LatencyInputs

        keys = [program.key for program in self.programs]
        missing = [key for key in keys if key not in table.entries]
        if missing:
            raise MissingStepError(
                f"{len(missing)} of {len(keys)} networks that latency is learned from are not "
                f"timed yet (first: {missing[0]}). Time them with `tailorbird profile RECIPE`."
            )
        latencies = table.select(keys)
        y_ms = np.array([latency.median_ms for latency in latencies])
        std_ms = np.array([latency.std_ms for latency in latencies])
        try:
            return self._make(LatencyInputs(self.space, table, self.X, y_ms, std_ms))
        except (MissingWorkloadError, PriceError, RecipeError):
            raise
        except ValueError as error:
            raise MeasurementError(
                f"The networks that were timed tell nothing of others ({error}). Raise [latency] "
                "samples."
            ) from None

    @property
    def _n_samples(self) -> int:
        """Networks to learn from; those that latencies are adapted by are chosen elsewhere."""
        return 0 if self.asked.adapt_from else self.asked.n_samples

    @cached_property
    def _make(self) -> MakeLatency:
        return latency_predictor_of(self.asked.predictor, self.home)


def _distinct(X: IntArray) -> IntArray:
    """Rows of X (n, d), each once, in their order."""
    _, first = np.unique(X, axis=0, return_index=True)
    return X[np.sort(first)]
