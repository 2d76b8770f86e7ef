"""Times of one round of measuring."""

from dataclasses import dataclass

import numpy as np

from tailorbird.errors import MeasurementError
from tailorbird.spaces import FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """One round of measuring, in milliseconds of one run, a value per sample.

    Attributes:
        ms: with weights as cold as rotating through the copies makes them, (n,).
        hot_ms: with one copy used again and again, (k,); empty where there was one copy only.

    Raises:
        MeasurementError: if there are none, or any is not a time.
    """

    ms: FloatArray
    hot_ms: FloatArray

    def __post_init__(self) -> None:
        if not len(self.ms):
            raise MeasurementError("there are no samples")
        for ms in (self.ms, self.hot_ms):
            if not (np.isfinite(ms) & (ms > 0)).all():
                raise MeasurementError(f"samples must be finite and positive, but got {ms} ms")
