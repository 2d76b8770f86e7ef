"""Latencies of one configuration, as predictors see them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tailorbird.errors import MissingWorkloadError
from tailorbird.latency_tables.device import Configuration

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Latency:
    """Repeated measurements of one program, in milliseconds.

    Attributes:
        median_ms: of all samples.
        iqr_ms: distance between their quartiles.
        min_ms: of all samples.
        n_samples: how many there are.
        round_ms: median of each round; rounds lie apart in time, samples of one round do not.
    """

    median_ms: float
    iqr_ms: float
    min_ms: float
    n_samples: int
    round_ms: tuple[float, ...]

    def __post_init__(self) -> None:
        if not (np.isfinite(self.median_ms) and self.median_ms > 0):
            raise ValueError(f"`median_ms` must be finite and positive, but got {self.median_ms}.")

    @classmethod
    def of_rounds(cls, rounds: Sequence[FloatArray]) -> "Latency":
        """From the samples of each round, each of shape (n,)."""
        ms = np.concatenate(rounds)
        low, median, high = np.percentile(ms, [25, 50, 75])
        medians = tuple(float(np.median(r)) for r in rounds)
        return cls(float(median), float(high - low), float(ms.min()), len(ms), medians)

    @property
    def std_ms(self) -> float:
        """Spread from round to round; from sample to sample where there was one round only."""
        if len(self.round_ms) > 1:
            return float(np.std(self.round_ms, ddof=1))
        return self.iqr_ms / 1.349  # the quartiles of a normal distribution


@dataclass(frozen=True, slots=True)
class LatencyTable:
    """Every latency that was measured under one configuration.

    Attributes:
        device: name for messages.
        configuration: under which all entries were measured.
        entries: latency by workload key.
        failures: reason by the key of what could not be measured.
    """

    device: str
    configuration: Configuration
    entries: Mapping[str, Latency]
    failures: Mapping[str, str]

    def select(self, keys: Sequence[str]) -> list[Latency]:
        """Latencies in the order of the keys.

        Raises:
            MissingWorkloadError: if any was not measured.
        """
        missing = [key for key in keys if key not in self.entries]
        if missing:
            raise MissingWorkloadError(missing, len(keys), self.device)
        return [self.entries[key] for key in keys]
