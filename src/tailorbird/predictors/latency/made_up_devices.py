"""Made-up devices on which one thing that networks need is all that takes time.

A pool of a few devices, or of devices of one kind, has no direction in which a device of another
kind differs. Arithmetic, weights, activations and the number of steps are such directions: what is
bound by one of them takes as long as a mixture of real devices and these.
"""

from dataclasses import replace

import numpy as np

from tailorbird.latency_tables import LatencyTable
from tailorbird.latency_tables.tables.table import Latency
from tailorbird.spaces import CALL, FloatArray, IntArray, SearchSpace
from tailorbird.spaces.footprint import costs, workload_peak_bytes

NAMES = ("multiply-adds", "parameters", "activations", "steps")
"""What takes time on each."""

_LONGEST, _SHORTEST = 1e3, 1e-3  # of a workload, where the dearest one takes the former


def made_up_costs(space: SearchSpace, X: IntArray) -> FloatArray:
    """Latencies (n, 4) of canonical rows (n, d) on each made-up device, in units of its own.

    Args:
        space: with workloads.
        X: canonical rows.
    """
    return np.asarray(space.count_workloads(X) @ _workload_costs(space))


def made_up_tables(space: SearchSpace, like: LatencyTable) -> list[LatencyTable]:
    """A table of each made-up device with all workloads of a space.

    Args:
        space: with workloads.
        like: a table of a device, whose configuration they have.
    """
    values = _workload_costs(space)
    return [
        replace(
            like,
            device=name,
            entries={
                **{
                    w.key: Latency.stated(v, None) for w, v in zip(space.workloads, of, strict=True)
                },
                CALL.key: Latency.stated(_SHORTEST, None),
            },
            failures={},
            covariance=None,
        )
        for name, of in zip(NAMES, values.T.tolist(), strict=True)
    ]


def _workload_costs(space: SearchSpace) -> FloatArray:
    """What each workload takes, (n_workloads, 4), positive."""
    counted = costs(space.workloads)  # multiply-adds and parameters
    columns = (*counted.T, workload_peak_bytes(space.workloads), np.ones(len(space.workloads)))
    values = np.column_stack(columns).astype(np.float64)
    return np.asarray(_LONGEST * values / np.maximum(values.max(axis=0), 1) + _SHORTEST)
