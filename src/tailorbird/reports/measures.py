"""Measures that a report compares networks by: objectives of its search, as they were checked."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import moocore
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tailorbird.reports.checked import AT
from tailorbird.reports.plots.plot import Axis
from tailorbird.reports.plots.scale import Scale
from tailorbird.search.objective import Objective
from tailorbird.spaces import FloatArray

ELSEWHERE = "latency_on_"
"""Stands before the name of a device in that of an objective."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A property of networks, in the unit and from the column that a report shows.

    Attributes:
        column: of tables of checked networks.
        title: such as `test accuracy`.
        unit: of its values.
        error: column of standard errors; empty if values have none.
        factor: from the column's unit to that one.
        better: what a better network is: `faster`.
        is_better_high: true if larger values are better.
        objective: of the search, as its tables head it.
    """

    column: str
    title: str
    unit: str
    error: str = ""
    factor: float = 1.0
    better: str = "smaller"
    is_better_high: bool = False
    objective: str = ""

    @property
    def label(self) -> str:
        """Title with unit."""
        return f"{self.title}, {self.unit}"

    def values(self, networks: pd.DataFrame) -> FloatArray:
        """Values of networks, (n,); NaN where they are not known."""
        return self.factor * networks[self.column].to_numpy(dtype=np.float64)

    def errors(self, networks: pd.DataFrame) -> FloatArray:
        """Their standard errors, (n,); NaN where they are not known."""
        if self.error not in networks:
            return np.full(len(networks), np.nan)
        return self.factor * networks[self.error].to_numpy(dtype=np.float64)

    def axis(self, *of: FloatArray) -> Axis:
        """An axis on which values, (n,) each, find room."""
        scale = Scale.around(np.concatenate(of), may_be_log=not self.is_better_high)
        return Axis(self.label, scale, self.better, self.is_better_high)


TEST_ACCURACY = Measure(
    "accuracy_test",
    "test accuracy",
    "%",
    "accuracy_test_std",
    factor=100.0,
    better="more accurate",
    is_better_high=True,
)
VALIDATION_ACCURACY = replace(
    TEST_ACCURACY,
    column="accuracy_validation",
    title="validation accuracy",
    error="accuracy_validation_std",
)
PREDICTED_ACCURACY = replace(
    TEST_ACCURACY, column="accuracy_predicted", title="predicted accuracy", error="accuracy_std"
)
MEASURED_LATENCY = Measure(
    "latency_ms_measured", "measured latency", "ms", "latency_ms_rounds", better="faster"
)
PREDICTED_LATENCY = Measure(
    "latency_ms_predicted", "predicted latency", "ms", "latency_ms_std", better="faster"
)


def accuracy_of(networks: pd.DataFrame) -> Measure:
    """The accuracy that is known best: on test or validation images, or as predicted."""
    for measure in (TEST_ACCURACY, VALIDATION_ACCURACY):
        if networks[measure.column].notna().any():
            return measure
    return PREDICTED_ACCURACY


def latency_of(networks: pd.DataFrame) -> Measure:
    """The latency of a batch: measured where networks were timed, or else as predicted."""
    is_timed = networks["latency_ms_measured"].notna().any()
    return MEASURED_LATENCY if is_timed else PREDICTED_LATENCY


def best_known_ms(networks: pd.DataFrame) -> FloatArray:
    """Latencies (n,) of a batch: measured, or predicted of networks that were not timed."""
    ms = networks["latency_ms_measured"].fillna(networks["latency_ms_predicted"])
    return ms.to_numpy(dtype=np.float64)


def on_device(device: str) -> Measure:
    """The latency of a batch on a further device of the search, which is predicted."""
    title = f"predicted latency on {device}"
    return Measure(
        f"latency_ms{AT}{device}", title, "ms", f"latency_ms_std{AT}{device}", better="faster"
    )


COUNTED_AS = {
    "mega_macs": Measure("mega_macs", "multiply-adds of a batch", "million"),
    "mega_params": Measure("mega_params", "parameters", "million"),
    "weight_mib": Measure("weight_mib", "weights", "MiB"),
    "peak_mib": Measure("peak_mib", "peak memory of activations", "MiB"),
}
"""Measures that are counted, by the column of a front that has them."""


def compared_by(objectives: Sequence[str], front: pd.DataFrame) -> tuple[Measure, ...]:
    """Accuracy, then what networks cost: by the objectives of a search, or else by latency.

    Args:
        objectives: as tables of the search head them, such as `latency_ms`.
        front: networks that were checked, by which measures of one objective are told apart.
    """
    costs = [
        replace(_cost(column, front), objective=column)
        for column in objectives
        if column != "accuracy"
    ]
    return (accuracy_of(front), *(costs or [replace(latency_of(front), objective="latency_ms")]))


def _cost(column: str, front: pd.DataFrame) -> Measure:
    if column == "latency_ms":
        return latency_of(front)
    if column.startswith(ELSEWHERE):
        return on_device(column.removeprefix(ELSEWHERE).removesuffix("_ms"))
    return COUNTED_AS[column]


def measure_of_prediction(objective: Objective) -> Measure:
    """Measure of what a search predicts for an objective."""
    if objective.name == "accuracy":
        return PREDICTED_ACCURACY
    if objective.column == "latency_ms":
        return PREDICTED_LATENCY
    return _cost(objective.column, pd.DataFrame())


def non_dominated(networks: pd.DataFrame, measures: Sequence[Measure]) -> NDArray[np.bool_]:
    """True for networks that no other one beats in all measures, (n,); equals stay.

    One of which a measure is not known is not among them.
    """
    values = np.column_stack(
        [(-1 if m.is_better_high else 1) * m.values(networks) for m in measures]
    )
    known = np.isfinite(values).all(axis=1)
    front = np.zeros(len(networks), dtype=bool)
    if known.any():
        front[known] = moocore.is_nondominated(values[known], keep_weakly=True)
    return front
