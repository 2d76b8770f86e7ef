"""Figures of one checked network, as texts by title."""

import math
from collections.abc import Iterator

import pandas as pd

from tailorbird.reports.checked import AT
from tailorbird.reports.measures import (
    MEASURED_LATENCY,
    PREDICTED_ACCURACY,
    PREDICTED_LATENCY,
    TEST_ACCURACY,
    VALIDATION_ACCURACY,
    Measure,
    on_device,
)
from tailorbird.reports.wording import plain, with_error


def figures_of(network: pd.DataFrame, device: str, batch: int) -> dict[str, str]:
    """What is known of a network, with errors and units.

    Args:
        network: one row of a checked front.
        device: that the row's own latencies are of.
        batch: images that a latency is of.
    """
    figures = dict[str, str]()
    accuracies = (TEST_ACCURACY, VALIDATION_ACCURACY, PREDICTED_ACCURACY)
    for measure in (*accuracies, *_latencies(network)):
        if measure.column not in network or not math.isfinite(measure.values(network)[0]):
            continue
        title = measure.title
        if measure.unit == "ms":
            at = "" if measure.column.partition(AT)[2] else f" on {device}"
            title += f"{at}, batch of {batch}"
        value, error = measure.values(network)[0], measure.errors(network)[0]
        figures[title] = with_error(value, error, measure.unit)
    for column, title in (("n_macs", "multiply-adds of an image"), ("n_params", "parameters")):
        if column in network:
            figures[title] = f"{plain(float(network[column].iloc[0]) / 1e6)} million"
    return figures


def _latencies(network: pd.DataFrame) -> Iterator[Measure]:
    """Yields the measured and the predicted latency, and those on further devices."""
    yield MEASURED_LATENCY
    yield PREDICTED_LATENCY
    for column in map(str, network):
        before, at, name = column.partition(AT)
        if at and before == "latency_ms":
            yield on_device(name)
