"""Networks that are timed on a new device, and what follows from them and known devices."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from tailorbird.errors import MeasurementError, MissingStepError, PriceError, RecipeError
from tailorbird.latency_tables import Configuration, LatencyTable, Program, Record
from tailorbird.latency_tables.profiling.space_programs import network_program
from tailorbird.predictors import AdaptedSum, Prediction
from tailorbird.predictors.metrics import mape
from tailorbird.spaces import CALL, FloatArray, IntArray, SearchSpace

_ONE_KNOWN = " With one known device, no other one could tell whether their uncertainty is right."
_MOST_SAMPLES = 50  # more are not meant for this kind of predictor


@dataclass(frozen=True, eq=False)
class Adapted:
    """Latency predictor of a new device, and the networks that it rests on.

    Attributes:
        latency: of any network of the space.
        architectures: that were timed, n texts.
        measured_ms: theirs, (n,).
        left_out: each as predicted from the others.
        known: one text for each device that they are adapted from.
    """

    latency: AdaptedSum
    architectures: tuple[str, ...]
    measured_ms: FloatArray
    left_out: Prediction
    known: tuple[str, ...]

    @property
    def networks(self) -> pd.DataFrame:
        """A row for each network that was timed."""
        return pd.DataFrame(
            {
                "architecture": self.architectures,
                "latency_ms_measured": self.measured_ms,
                "latency_ms_left_out": self.left_out.mean,
                "latency_ms_left_out_std": self.left_out.std,
            }
        )

    @property
    def summary(self) -> dict[str, object]:
        """Content of `summary.json` on the adaptation."""
        return {
            "from": list(self.known),
            "n_networks": len(self.architectures),
            "mape_left_out": self.mape_left_out,
        }

    @property
    def mape_left_out(self) -> float:
        """Mean absolute error of timed networks predicted from the others, as a fraction."""
        return mape(self.left_out.mean, self.measured_ms)

    def __str__(self) -> str:
        return (
            f"Latencies are adapted from {' and '.join(self.known)} by {len(self.architectures)} "
            "networks that were timed on this device. Each left out and predicted from the others, "
            f"they are {self.mape_left_out:.1%} off." + ("" if len(self.known) > 1 else _ONE_KNOWN)
        )


@dataclass(frozen=True)
class Adaptation:
    """Choice of networks to time on a new device, and the predictor that follows from them.

    Attributes:
        space: of the networks.
        known: tables of other devices; their rows count however few rounds they have.
        n_samples: networks that are timed.

    Raises:
        RecipeError: if a table lacks a workload, or the space has fewer networks.
    """

    space: SearchSpace
    known: tuple[Record, ...]
    n_samples: int

    def __post_init__(self) -> None:
        for record in self.known:
            self._refuse_gaps(record)
        n = len(self._sum.candidates)
        if self.n_samples > n:
            raise RecipeError(
                f"[latency] samples must be at most {n} in {self.space.name}, but got "
                f"{self.n_samples}."
            )

    def refuse_itself(self, configuration: Configuration) -> None:
        """Refuses a table of the very configuration that networks are timed under.

        Raises:
            RecipeError: if there is one.
        """
        for record in self.known:
            if record.configuration == configuration:
                raise RecipeError(
                    f"The table of {record.device!r} in [latency] adapt_from was measured as this "
                    "recipe measures, on such a processor: nothing has to be adapted. Write "
                    f"[device] name = {record.device!r}, or drop it from adapt_from."
                )

    @cached_property
    def samples(self) -> IntArray:
        """The networks that are timed, (n_samples, d), the same for the same tables."""
        return self._sum.suggest(self.n_samples)

    @property
    def programs(self) -> list[Program]:
        """The networks that are timed, whole, under keys of the store."""
        return [network_program(self.space, row) for row in self.samples]

    def extended(self, table: LatencyTable) -> "Adaptation":
        """Adaptation with all further suggestions up to the first that is not timed yet."""
        n_most = min(_MOST_SAMPLES, len(self._sum.candidates))
        if n_most <= self.n_samples:
            return self
        rows = self._sum.suggest(n_most)[self.n_samples :]
        are_timed = [network_program(self.space, row).key in table.entries for row in rows]
        n_further = next((i for i, timed in enumerate(are_timed) if not timed), len(rows))
        return replace(self, n_samples=self.n_samples + n_further)

    def adapted(self, table: LatencyTable) -> Adapted:
        """Fits the predictor, once the networks are in the table of the new device.

        Raises:
            MissingStepError: if any is not.
            MeasurementError: if nothing follows from what was measured.
        """
        keys = [program.key for program in self.programs]
        missing = [key for key in keys if key not in table.entries]
        if missing:
            raise MissingStepError(
                f"{len(missing)} of {len(keys)} networks that latencies are adapted by are not "
                f"timed yet (first: {missing[0]}). Time them with `tailorbird adapt RECIPE`."
            )
        y_ms = np.array([latency.median_ms for latency in table.select(keys)])
        try:
            latency = self._sum.fit(self.samples, y_ms)
        except ValueError as error:
            raise MeasurementError(
                f"The networks that were timed tell nothing of others ({error}). Raise [latency] "
                "samples."
            ) from None
        return Adapted(
            latency,
            tuple(self.space.describe(row) for row in self.samples),
            y_ms,
            latency.left_out(),
            tuple(map(_told, self.known)),
        )

    def _refuse_gaps(self, record: Record) -> None:
        keys = [workload.key for workload in self.space.workloads]
        if not record.configuration.is_imported:
            keys.append(CALL.key)
        entries = record.table(1).entries
        missing = [key for key in keys if key not in entries]
        if missing:
            raise RecipeError(
                f"Latencies are adapted from tables of all workloads of {self.space.name}, but "
                f"{len(missing)} of {len(keys)} are not in the table of {record.device!r}, which "
                f"is of {record.space} (first: {missing[0]}). Drop it from [latency] adapt_from."
            )

    @cached_property
    def _sum(self) -> AdaptedSum:
        tables = [record.table(1) for record in self.known]
        try:
            return AdaptedSum(self.space, tables)
        except PriceError:
            raise
        except ValueError as error:
            raise RecipeError(f"[latency] adapt_from: {error}") from None


def _told(record: Record) -> str:
    """Text such as `epyc-avx512 (tvm, 2 threads, for x86-64-v3)`."""
    configuration = record.configuration
    threads = "1 thread" if configuration.threads == 1 else f"{configuration.threads} threads"
    return f"{record.device} ({configuration.runtime}, {threads}, for {configuration.target})"
