"""The speed of a quiet machine, from times of a reference that always does the same."""

from collections.abc import Sequence

import numpy as np

_FLOOR = 10  # percentile: a lucky reference would condemn everything that comes after it


def floor(references_ms: Sequence[float]) -> float:
    """Milliseconds of the reference on the quiet machine; NaN if it never ran."""
    return float(np.percentile(references_ms, _FLOOR)) if len(references_ms) else float("nan")
