"""Predictions for workloads that a table lacks."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tailorbird.errors import PriceError
from tailorbird.latency_tables import Latency, LatencyTable
from tailorbird.latency_tables.tables.price import LARGEST_RELATIVE_STD, is_latency, is_spread
from tailorbird.latency_tables.tables.table import Covariance
from tailorbird.predictors.latency.workload_latency import WorkloadLatency, refuse_few_neighbours
from tailorbird.spaces import SearchSpace, Workload


def missing_workloads(space: SearchSpace, table: LatencyTable) -> tuple[Workload, ...]:
    """Workloads of a space that were never tried; those that failed are left out.

    A program that could not be measured may well not run in a network either.
    """
    tried = table.entries.keys() | table.failures.keys()
    return tuple(workload for workload in space.workloads if workload.key not in tried)


def complete(
    space: SearchSpace, table: LatencyTable, also: Sequence[Workload] = ()
) -> LatencyTable:
    """The table with predictions, marked as such, for what it lacks of a space.

    What was measured stays as it is. The empty program is not predicted.

    Args:
        space: whose workloads are wanted; those that were measured are neighbours of the others.
        table: of a device.
        also: further workloads, whose rows of the table are neighbours as well.

    Raises:
        TooFewNeighboursError: if fewer than five workloads of an op were measured.
        PriceError: if what was measured tells next to nothing of a workload.
    """
    missing = missing_workloads(space, table)
    if not missing:
        return table
    candidates = {workload.key: workload for workload in (*space.workloads, *also)}
    known = {
        key: workload
        for key, workload in candidates.items()
        if key in table.entries and not table.entries[key].is_predicted
    }
    n_measured = Counter(workload.op for workload in known.values())
    refuse_few_neighbours(missing, n_measured)
    ms = np.array([table.entries[key].median_ms for key in known])
    found, covariance_ms2 = WorkloadLatency().fit(list(known.values()), ms).joint(missing)
    keys = tuple(workload.key for workload in missing)
    for key, mean, std in zip(keys, found.mean, found.std, strict=True):
        if not (is_latency(mean) and is_spread(std, mean)):
            raise PriceError(
                f"What is estimated must be a latency with a spread of at most "
                f"{LARGEST_RELATIVE_STD:g} times itself, but the others of its op tell {mean:g} ± "
                f"{std:g} ms of {key}. Measure it, or look for what is wrong in the table of "
                f"{table.device!r}."
            )
    predicted = {
        workload.key: Latency.predicted(float(mean), float(std), n_measured[workload.op])
        for workload, mean, std in zip(missing, found.mean, found.std, strict=True)
    }
    return replace(
        table,
        entries={**table.entries, **predicted},
        covariance=Covariance(keys, covariance_ms2),
    )
