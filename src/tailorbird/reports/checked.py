"""Checked networks: built, evaluated on test images and timed on the device."""

from dataclasses import dataclass

import pandas as pd

from tailorbird.spaces import FloatArray

COLUMNS = (
    "architecture",
    "kind",
    "space",
    "accuracy_predicted",
    "accuracy_std",
    "accuracy_validation",
    "accuracy_test",
    "accuracy_test_std",
    "latency_ms_predicted",
    "latency_ms_std",
    "latency_ms_extrapolated",
    "latency_ms_measured",
    "n_macs",
    "n_params",
)
"""Columns of a front: accuracies are fractions, latencies of a batch, MACs of one image.

Space is the name, before its settings, of the space that a network is of, also in a union. A
latency is extrapolated where it lies far below all that were timed. After these there is a column
for each variable of the space, with the index of its choice, unless one is named like one of these.
"""

COUNTED = ("mega_macs", "mega_params", "weight_mib", "peak_mib")
"""Further columns, of a batch, where a search has them as objectives."""

TAKEN = (*COLUMNS, *COUNTED)
"""Names that no column of an encoding has beside them."""

AT = "@"
"""Stands before a device's name in the columns of latencies that are predicted there.

They are `latency_ms@NAME` and `latency_ms_std@NAME`.
"""

ROUNDS = 2


@dataclass(frozen=True, slots=True, eq=False)
class Checked:
    """Networks with what was predicted and what was measured.

    Attributes:
        networks: a row per network, `COLUMNS` and its encoding; a measurement that failed, or was
            not possible, is missing.
        round_ms: median of each round, (n, ROUNDS); NaN where it is missing.
        failures: reason by architecture.
    """

    networks: pd.DataFrame
    round_ms: FloatArray
    failures: dict[str, str]
