"""Samples of one round of measuring."""

from dataclasses import dataclass

import numpy as np

from tailorbird.errors import MeasurementError
from tailorbird.notebook import between
from tailorbird.spaces import FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Samples of one round, each the milliseconds of one run.

    Attributes:
        ms: latency cycling through copies of the weights, so that caches are as cold as in a
            network, (n,).
        hot_ms: latency with one copy again and again, (k,); empty where there was one copy only.

    Raises:
        MeasurementError: if there are none, or any is not a time.
    """

    ms: FloatArray
    hot_ms: FloatArray

    def __repr__(self) -> str:
        return f"Samples({len(self.ms):,} of {between(self.ms)} ms, {len(self.hot_ms):,} hot)"

    def __post_init__(self) -> None:
        if not len(self.ms):
            raise MeasurementError("there are no samples")
        for ms in (self.ms, self.hot_ms):
            if not (np.isfinite(ms) & (ms > 0)).all():
                raise MeasurementError(f"samples must be finite and positive, but got {ms} ms")
