"""Costs that are the same on every device, counted exactly: arithmetic, parameters, memory."""

from collections.abc import Callable
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from tailorbird.predictors.built_costs import BuiltCost
from tailorbird.predictors.prediction import Prediction, Predictor
from tailorbird.spaces import FloatArray, IntArray, SearchSpace
from tailorbird.spaces.footprint import (
    costs,
    footprint,
    n_macs,
    weight_bytes,
    workload_peak_bytes,
    workload_weight_bytes,
)
from tailorbird.spaces.layered import LayeredGraph, check_width, graph_of, refuse
from tailorbird.spaces.path_sum import (
    PathValues,
    adder,
    along_workloads,
    refuse_unknown_workloads,
)
from tailorbird.spaces.space import HasPeakMemory

_MILLION = 1e6
_MIB = 2.0**20
_COUNTED = "Count whole networks by `tailorbird.predictors.mega_macs` and its like"
_CHUNK = 8_192  # rows; what is in flight then stays in the cache


def mega_macs(space: SearchSpace) -> Predictor:
    """Millions of multiply-adds of convolutions and matrix products, for the whole batch."""
    if space.workloads:
        return WorkloadSum.mega_macs(space)
    return BuiltCost(space, lambda network, inputs: n_macs(network, inputs) / _MILLION)


def mega_params(space: SearchSpace) -> Predictor:
    """Millions of parameters."""
    if space.workloads:
        return WorkloadSum.mega_params(space)
    return BuiltCost(
        space, lambda network, _: sum(p.numel() for p in network.parameters()) / _MILLION
    )


def weight_mib(space: SearchSpace) -> Predictor:
    """MiB of parameters and buffers."""
    if space.workloads:
        return WorkloadSum.weight_mib(space)
    return BuiltCost(space, lambda network, _: weight_bytes(network) / _MIB)


def peak_mib(space: SearchSpace) -> Predictor:
    """MiB of activations that a network holds at the worst moment, for the whole batch."""
    if space.workloads or isinstance(space, HasPeakMemory):
        return PeakMemory(space)
    return BuiltCost(space, lambda *built: footprint(*built).peak_activation_bytes / _MIB)


class WorkloadSum:
    """Sum of what the workloads of a network cost, for sure.

    Args:
        space: of the architectures.
        values: of each of its workloads, (n_workloads,).

    Raises:
        UnknownWorkloadsError: if the space does not know its workloads.
    """

    def __init__(self, space: SearchSpace, values: FloatArray) -> None:
        refuse_unknown_workloads(space, _COUNTED)
        self.space = space
        self.values = values
        self._sum = adder(space, values)

    def __repr__(self) -> str:
        return f"WorkloadSum({self.space!r})"

    @classmethod
    def mega_macs(cls, space: SearchSpace) -> Self:
        """Millions of multiply-adds of convolutions and matrix products, for the whole batch."""
        return cls(space, costs(space.workloads)[:, 0] / _MILLION)

    @classmethod
    def mega_params(cls, space: SearchSpace) -> Self:
        """Millions of parameters."""
        return cls(space, costs(space.workloads)[:, 1] / _MILLION)

    @classmethod
    def weight_mib(cls, space: SearchSpace) -> Self:
        """MiB of parameters and buffers."""
        return cls(space, workload_weight_bytes(space.workloads) / _MIB)

    def predict(self, X: IntArray) -> Prediction:
        """Costs of canonical rows (n, d), with std 0."""
        return Prediction(self.mean(X), np.zeros(len(X)))

    def mean(self, X: IntArray) -> FloatArray:
        """The sums alone, (n,)."""
        return self._sum(X)

    def along(self, graph: LayeredGraph) -> PathValues:
        """What each step adds."""
        return along_workloads(graph, self.values)


class PeakMemory:
    """MiB of activations that a network holds at the worst moment, for the whole batch.

    Where workloads run one after the other, it is that of the workload with the largest peak of
    its own: nothing but the input of a workload is alive beside what it makes. So it is in every
    layered space. In a cell, nodes outlive the edges that read them; those of NAS-Bench-201 are
    followed, see `cells.peak_memory`. In another space that keeps tensors across workloads, they
    are missing, and the value is a lower bound.

    It is a count of live tensors, see `footprint`: no operator runs in place, and none needs
    memory to work in. A runtime may fuse and do with less, or pad and take more.

    Args:
        space: of the architectures.

    Raises:
        UnknownWorkloadsError: if the space does not know its workloads, nor its peaks.
    """

    def __init__(self, space: SearchSpace) -> None:
        self.space = space
        self._peak_mib = _peaks_mib(space)

    def __repr__(self) -> str:
        return f"PeakMemory({self.space!r})"

    def predict(self, X: IntArray) -> Prediction:
        """Costs of canonical rows (n, d), with std 0."""
        return Prediction(self.mean(X), np.zeros(len(X)))

    def mean(self, X: IntArray) -> FloatArray:
        """The peaks alone, (n,)."""
        return self._peak_mib(X)


def _peaks_mib(space: SearchSpace) -> Callable[[IntArray], FloatArray]:
    if isinstance(space, HasPeakMemory):
        return lambda X: space.peak_activation_bytes(X) / _MIB
    refuse_unknown_workloads(space, _COUNTED)
    values = workload_peak_bytes(space.workloads) / _MIB
    graph = graph_of(space)
    if graph is not None:
        return PathMax(graph, values)
    return lambda X: _largest(space.count_workloads(X), values)


class PathMax:
    """The largest value of any workload along each path; as `PathSum`, with one table more.

    Args:
        graph: of the paths.
        values: of each workload, at least 0, (n_workloads,).
    """

    def __init__(self, graph: LayeredGraph, values: FloatArray) -> None:
        self._layers = [
            (
                np.pad(layer.edges, ((0, 0), (0, 1)), constant_values=-1),
                layer.target,
                _largest(layer.counts, values),
            )
            for layer in graph.layers
        ]
        self._final = _largest(graph.final, values)

    def __call__(self, X: IntArray) -> FloatArray:
        """The largest value along each path (n, d), (n,).

        Raises:
            ValueError: if a row is not a path of the graph.
        """
        check_width(X, len(self._layers))
        chunks = [self._peaks(X, first) for first in range(0, len(X), _CHUNK)]
        return np.concatenate([np.empty(0), *chunks])

    def _peaks(self, X: IntArray, first: int) -> FloatArray:
        rows = np.ascontiguousarray(X[first : first + _CHUNK].T, dtype=np.int64)
        peak, state = np.zeros(rows.shape[1]), np.zeros(rows.shape[1], dtype=np.int64)
        for choice, (edges, target, largest) in zip(
            rows.view(np.uint64), self._layers, strict=True
        ):
            none = np.uint64(edges.shape[1] - 1)  # what is negative is too large as well
            edge = edges[state, np.minimum(choice, none)]
            if edge.min() < 0:
                refuse(X, first + int(np.argmax(edge < 0)))
            np.maximum(peak, largest[edge], out=peak)
            state = target[edge]
        return np.asarray(np.maximum(peak, self._final[state]))


def _largest(counts: csr_array, values: NDArray[np.float64]) -> FloatArray:
    """The largest value >= 0 among the workloads of each row, (n,); 0 where there are none."""
    held = csr_array((values[counts.indices], counts.indices, counts.indptr), shape=counts.shape)
    return np.asarray(held.max(axis=1).toarray()).ravel() if held.shape[0] else np.empty(0)
