"""Sums along the paths of a layered graph, for searches that look at millions of rows."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tailorbird.errors import UnknownWorkloadsError
from tailorbird.spaces.layered import LayeredGraph, check_width, graph_of, refuse
from tailorbird.spaces.space import FloatArray, IntArray, SearchSpace

_CHUNK = 8_192  # rows; what is in flight then stays in the cache


def _unchanged(sums: FloatArray) -> FloatArray:
    return sums


@dataclass(frozen=True, slots=True, eq=False)
class PathValues:
    """Property of architectures that is a function of a sum along the paths of a layered graph.

    Attributes:
        edges: what taking each edge of each layer adds, (e,) each.
        final: what ending in each state adds, (n_states,).
        response: from sums (n,) to values (n,) of the property, increasing.
    """

    edges: tuple[FloatArray, ...]
    final: FloatArray
    response: Callable[[FloatArray], FloatArray] = _unchanged

    def __post_init__(self) -> None:
        if not all(np.isfinite(values).all() for values in (*self.edges, self.final)):
            raise ValueError("What steps add must be finite, but some of it is not.")


def along_workloads(
    graph: LayeredGraph,
    values: FloatArray,
    response: Callable[[FloatArray], FloatArray] = _unchanged,
) -> PathValues:
    """Property to which each workload of a path adds a value of its own.

    Args:
        graph: of the paths.
        values: of each workload, (n_workloads,).
        response: from sums (n,) to values (n,), increasing.
    """
    edges = tuple(layer.counts @ values for layer in graph.layers)
    return PathValues(edges, graph.final @ values, response)


class PathSum:
    """Adds up the values of the steps along paths, without counting workloads.

    Each layer becomes two flat tables over (state, choice): what taking that edge adds, and where
    the next layer's tables begin for the state that it enters. So a layer costs a row two look-ups,
    however many workloads its edges have. Choices that are none share one more column, and every
    edge that is not there leads to one more state, which nothing leaves: whether a row ended there
    is all that has to be asked.

    Args:
        graph: of the paths.
        values: of each workload, (n_workloads,), or of each step; `response` is not applied.
    """

    def __init__(self, graph: LayeredGraph, values: FloatArray | PathValues) -> None:
        along = values if isinstance(values, PathValues) else along_workloads(graph, values)
        n_states = graph.final.shape[0]  # and the number of the state for what is no path
        widths = [*(layer.edges.shape[1] + 1 for layer in graph.layers), 1]
        self._layers = []
        for k, (layer, of_edges) in enumerate(zip(graph.layers, along.edges, strict=True)):
            width, next_width = widths[k : k + 2]
            added = np.zeros((n_states + 1, width))
            added[layer.source, layer.choice] = of_edges
            entered = np.full((n_states + 1, width), n_states * next_width, dtype=np.int64)
            entered[layer.source, layer.choice] = layer.target * next_width
            self._layers.append((np.uint64(width - 1), added.ravel(), entered.ravel()))
        self._final = np.append(along.final, 0.0)

    def __call__(self, X: IntArray) -> FloatArray:
        """The sum of each path (n, d), (n,).

        Raises:
            ValueError: if a row is not a path of the graph.
        """
        check_width(X, len(self._layers))
        total = np.empty(len(X))
        for first in range(0, len(X), _CHUNK):
            rows = slice(first, first + _CHUNK)
            state = self._add_up(np.asarray(X[rows], dtype=np.int64), total[rows])
            astray = state == len(self._final) - 1
            if astray.any():
                refuse(X, first + int(np.argmax(astray)))
        return total

    def _add_up(self, X: IntArray, total: FloatArray) -> IntArray:
        """Writes the sums into `total`, (n,); returns the state that each row ended in."""
        choices = X.view(np.uint64)  # so that what is negative is too large as well
        value = np.empty(len(X))
        begin, index = np.zeros((2, len(X)), dtype=np.int64)
        total[:] = 0.0
        for k, (none, added, entered) in enumerate(self._layers):
            np.minimum(choices[:, k], none, out=index.view(np.uint64))
            index += begin
            added.take(index, out=value, mode="clip")  # in range; the other modes take a copy
            entered.take(index, out=begin, mode="clip")
            total += value
        total += self._final[begin]
        return begin


def adder(space: SearchSpace, values: FloatArray) -> Callable[[IntArray], FloatArray]:
    """Function from canonical rows (n, d) to the sums of their workloads' values, (n,).

    It adds up along paths where the space is layered.

    Args:
        space: of the rows.
        values: of each of its workloads, (n_workloads,).
    """
    graph = graph_of(space)
    if graph is not None:
        return PathSum(graph, values)
    return lambda X: np.asarray(space.count_workloads(X) @ values, dtype=np.float64)


def refuse_unknown_workloads(space: SearchSpace, way_out: str) -> None:
    """Refuses to add up the workloads of a space that leaves them open.

    Args:
        space: of the networks.
        way_out: of that, a sentence without its full stop.

    Raises:
        UnknownWorkloadsError: if it names none.
    """
    if not space.workloads:
        raise UnknownWorkloadsError(
            f"Workloads that add up must be known, but {space.name} names none. {way_out}, or name "
            "them in `workloads` and `count_workloads` of the space."
        )
