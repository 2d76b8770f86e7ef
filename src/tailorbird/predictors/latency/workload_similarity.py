"""Similarity of workloads."""

from collections.abc import Sequence

import numpy as np

from tailorbird.spaces import FloatArray, Workload
from tailorbird.spaces.footprint import costs

_OP = "op="  # no name of a parameter has such a sign


class WorkloadSimilarity:
    """Compares workloads by what they compute, as points in a space of logarithms.

    Coordinates are log2 of multiply-adds, parameters, attributes and sizes of inputs, and one
    for each op, all with a variance of 1 over the workloads that it was made of. What is equal in
    all of these keeps its logarithm as it is, so that what differs from all of them lies far off.

    Args:
        workloads: that others are compared with.
    """

    def __init__(self, workloads: Sequence[Workload]) -> None:
        facts = _facts(workloads)
        self._names = sorted(set().union(*facts))
        table = _table(facts, self._names)
        self._mean, std = table.mean(axis=0), table.std(axis=0)
        self._std = np.where(std > 0, std, 1.0)

    def points(self, workloads: Sequence[Workload]) -> FloatArray:
        """Coordinates, (n, p), their squares summing up to about 1."""
        table = _table(_facts(workloads), self._names)
        return np.asarray((table - self._mean) / self._std / np.sqrt(len(self._names)))


def matern(A: FloatArray, B: FloatArray, length: float) -> FloatArray:
    """Covariances (a, b) of points (a, p) and (b, p), 1 for equal ones, smooth twice over.

    References:
        Rasmussen, Williams: Gaussian Processes for Machine Learning, equation 4.17. MIT Press 2006.
    """
    squared = np.sum(A**2, axis=1)[:, None] + np.sum(B**2, axis=1) - 2 * A @ B.T
    r = np.sqrt(5 * np.maximum(squared, 0)) / length
    return np.asarray((1 + r + r**2 / 3) * np.exp(-r))


def _facts(workloads: Sequence[Workload]) -> list[dict[str, float]]:
    """Numbers of each workload by name; a workload lacks what others have names for."""
    found = []
    for workload, (n_macs, n_params) in zip(workloads, costs(workloads), strict=True):
        numbers = {"n_macs": n_macs, "n_params": n_params, **workload.numbers}
        for i, shape in enumerate(workload.inputs):
            numbers |= {f"input {i} axis {axis}": size for axis, size in enumerate(shape)}
        logs = {name: float(np.log2(1 + value)) for name, value in numbers.items()}
        found.append({**logs, _OP + workload.op: 1.0})
    return found


def _table(facts: Sequence[dict[str, float]], names: Sequence[str]) -> FloatArray:
    """A row for each workload, zero where it has no such number."""
    return np.array([[one.get(name, 0.0) for name in names] for one in facts]).reshape(
        len(facts), len(names)
    )
