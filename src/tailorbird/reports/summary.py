"""Summary of a run in numbers, and notes on what a reader must not miss."""

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from tailorbird.predictors.metrics import Metric, bootstrap, kendall_tau, mape
from tailorbird.reports.answer import damaged
from tailorbird.reports.checked import Checked
from tailorbird.reports.measures import Measure, compared_by, non_dominated
from tailorbird.search.result import SearchResult
from tailorbird.spaces import FloatArray

_ROUNDS_AGREE = 0.1  # relative; quiet rounds differ by a few per cent
_SHORTEST_IN_CALLS = 20  # below this, calling a network drowns what it computes


def summarise(
    front: Checked,
    random: Checked,
    found: SearchResult,
    seconds: Mapping[str, float],
    n_estimated: int = 0,
) -> dict[str, object]:
    """Returns the content of `summary.json`; a figure that could not be had is None.

    Latency figures are over the front and the random networks together. An interval holds 95 % of
    what other draws of as many networks would give.

    Args:
        front: its checked networks.
        random: random networks, checked likewise.
        found: result of the search.
        seconds: that each step took.
        n_estimated: workloads whose latency was never measured.
    """
    networks = pd.concat([front.networks, random.networks], ignore_index=True)
    rounds = np.vstack([front.round_ms, random.round_ms])
    distinct = networks.drop_duplicates("architecture").dropna(subset="accuracy_test")
    timed = networks["latency_ms_measured"].notna() & ~networks.duplicated("architecture")
    predicted, measured = (
        networks.loc[timed, column].to_numpy()
        for column in ("latency_ms_predicted", "latency_ms_measured")
    )
    columns = [objective.column for objective in found.front.objectives]
    measures = compared_by(columns, front.networks)
    best = front.networks[non_dominated(front.networks, measures)]
    return {
        "kendall_tau": _known(kendall_tau(predicted, measured)),
        "kendall_tau_interval": _interval(kendall_tau, predicted, measured),
        "kendall_tau_rounds": _known(kendall_tau(*rounds[timed].T)),
        "mape": _known(mape(predicted, measured)) if len(measured) else None,
        "mape_interval": _interval(mape, predicted, measured),
        "n_timed": len(measured),
        "kendall_tau_accuracy": _known(
            kendall_tau(
                distinct["accuracy_predicted"].to_numpy(), distinct["accuracy_test"].to_numpy()
            )
        ),
        "share_of_exact_hypervolume": found.share_of_exact_hypervolume,
        "objectives": columns,
        "n_front": len(front.networks),
        "n_non_dominated": len(best),
        "n_non_dominated_by_kind": best["kind"].value_counts().to_dict(),
        "n_failed": len(front.failures | random.failures),
        "n_workloads_estimated": n_estimated,
        "seconds": {step: round(value, 1) for step, value in seconds.items()},
    }


def _known(value: float) -> float | None:
    """Turns NaN into None for JSON: a rank correlation of equal values is NaN."""
    return value if math.isfinite(value) else None


def _interval(metric: Metric, predicted: FloatArray, measured: FloatArray) -> list[float] | None:
    """Bootstrap interval of a metric over networks; None if there are fewer than two."""
    if len(measured) < 2:
        return None
    interval = bootstrap(metric, predicted, measured, np.random.default_rng(0))
    return [interval.low, interval.high] if math.isfinite(interval.low) else None


def notes(
    front: Checked,
    random: Checked,
    measures: Sequence[Measure],
    call_ratio: float | None,
    supplied: pd.DataFrame | None = None,
) -> Iterator[str]:
    """Yields sentences on what a reader must not miss.

    Args:
        front: its checked networks.
        random: random networks, checked likewise.
        measures: that networks are compared by.
        call_ratio: latency of the median random network over that of an empty call; None if that
            is not known.
        supplied: anchors before they were stitched; None if there are none.
    """
    for name, reason in (front.failures | random.failures).items():
        yield f"{name} could not be measured: {reason}"
    extrapolated = pd.concat([front.networks, random.networks]).query("latency_ms_extrapolated")
    names = extrapolated["architecture"].drop_duplicates().tolist()
    if names:
        yield (
            f"The predicted latencies of {len(names)} networks are extrapolated, with stds to match"
            f" (first: {names[0]}): they are far below all that were timed."
        )
    best = front.networks[non_dominated(front.networks, measures)]
    both = pd.concat([front.networks, random.networks])
    if lost := "" if supplied is None else damaged(supplied, both):
        yield lost
    elif set(best["kind"]) == {"anchor"}:  # networks of spaces without stitches are of other kinds
        yield "No stitched network is on the checked front: here anchors are as good."
    for checked in (front, random):
        for name, rounds in zip(checked.networks["architecture"], checked.round_ms, strict=True):
            if np.ptp(rounds) > _ROUNDS_AGREE * rounds.min():
                yield (
                    f"{name} took {rounds.min():.4g} ms in one round and {rounds.max():.4g} ms in "
                    "another: something else ran, so its latency is not to be trusted."
                )
    if call_ratio is not None and call_ratio < _SHORTEST_IN_CALLS:
        yield (
            f"The median network costs {call_ratio:.1f} empty calls, fewer than "
            f"{_SHORTEST_IN_CALLS}: raise [device] batch."
        )
