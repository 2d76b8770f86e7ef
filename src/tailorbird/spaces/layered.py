"""Layered graphs, whose paths are the architectures of a space.

A canonical row is a path from the graph's root: in layer k, choice `X[i, k]` leads from one state
to the next. Path and row determine each other, so counting paths counts architectures.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, NoReturn, cast

import numpy as np
from scipy.sparse import csr_array, vstack

from tailorbird.spaces import summary
from tailorbird.spaces.space import IntArray, SearchSpace

if TYPE_CHECKING:
    import pandas as pd

MAX_ENUMERATED = 20_000_000


@dataclass(frozen=True, eq=False)
class Layer:
    """The edges between two layers of states.

    Attributes:
        source: state that each edge leaves, (e,).
        choice: value of the layer's variable on each edge, (e,).
        target: state that each edge enters, (e,).
        counts: workloads that taking the edge costs, (e, n_workloads).
    """

    source: IntArray
    choice: IntArray
    target: IntArray
    counts: csr_array

    @cached_property
    def edges(self) -> IntArray:
        """Edge of each (state, choice), -1 where there is none."""
        n_states = max(self.source.max(), self.target.max()) + 1
        table = np.full((n_states, self.choice.max() + 1), -1, dtype=np.int64)
        table[self.source, self.choice] = np.arange(len(self.source))
        return table


@dataclass(frozen=True, eq=False)
class LayeredGraph:
    """Graph whose paths begin in state 0 and take one edge of each layer.

    Attributes:
        layers: one per variable.
        final: workloads that ending in each state costs, (n_states, n_workloads).
    """

    layers: tuple[Layer, ...]
    final: csr_array

    @cached_property
    def n_paths(self) -> list[list[int]]:
        """Number of paths to the end from each state before each layer, as exact Python ints."""
        ways = [[1] * self.final.shape[0]]
        for layer in reversed(self.layers):
            before = [0] * self.final.shape[0]
            for source, target in zip(layer.source, layer.target, strict=True):
                before[source] += ways[0][target]
            ways.insert(0, before)
        return ways

    @property
    def size(self) -> int:
        """Number of paths."""
        return self.n_paths[0][0]

    def sample(self, n: int, rng: np.random.Generator) -> IntArray:
        """Paths (n, d), uniform over all of them, with replacement."""
        X = np.empty((n, len(self.layers)), dtype=np.int64)
        state = np.zeros(n, dtype=np.int64)
        for k, layer in enumerate(self.layers):
            rows_state = state.copy()
            for s in np.unique(rows_state):
                rows = np.flatnonzero(rows_state == s)
                out = np.flatnonzero(layer.source == s)
                ways = [self.n_paths[k + 1][t] for t in layer.target[out]]
                fractions = [w / self.n_paths[k][s] for w in ways]
                taken = out[rng.choice(len(out), size=len(rows), p=fractions)]
                X[rows, k] = layer.choice[taken]
                state[rows] = layer.target[taken]
        return X

    def enumerate(self, chunk: int) -> Iterator[IntArray]:
        """Yields every path once, in the order of its rank, in chunks (m, d).

        Raises:
            ValueError: above `MAX_ENUMERATED` paths.
        """
        if self.size > MAX_ENUMERATED:
            raise ValueError(
                f"Enumeration stops at {MAX_ENUMERATED:,} architectures, but this space has "
                f"{self.size:,}. Narrow the space, or sample it."
            )
        ranked = _Ranked(self)
        for first in range(0, self.size, chunk):
            yield ranked(first, min(first + chunk, self.size))

    def edges(self, X: IntArray) -> IntArray:
        """The edge that each path takes in each layer, (n, d).

        Raises:
            ValueError: if a row is not a path of the graph.
        """
        taken = np.empty((len(X), len(self.layers)), dtype=np.int64)
        self._walk(X, taken)
        return taken

    def _walk(self, X: IntArray, taken: IntArray) -> IntArray:
        """Writes the edges of each path into `taken`, (n, d); returns where it ends, (n,)."""
        check_width(X, len(self.layers))
        state = np.zeros(len(X), dtype=np.int64)
        for k, layer in enumerate(self.layers):
            inside = (X[:, k] >= 0) & (X[:, k] < layer.edges.shape[1])
            edge = np.where(inside, layer.edges[state, np.where(inside, X[:, k], 0)], -1)
            if (edge < 0).any():
                refuse(X, int(np.argmax(edge < 0)))
            taken[:, k] = edge
            state = layer.target[edge]
        return state

    def count(self, X: IntArray) -> csr_array:
        """Number of times that each path (n, d) needs each workload, (n, n_workloads).

        Raises:
            ValueError: if a row is not a path of the graph.
        """
        n, n_steps = len(X), len(self.layers) + 1
        rows = np.empty((n, n_steps), dtype=np.int32 if n * n_steps < 2**31 else np.int64)
        rows[:, -1] = self._walk(X, rows[:, :-1])
        rows += np.array(self._steps[1], dtype=rows.dtype)
        steps = self._steps[0]
        ones = np.ones(rows.size, dtype=np.int64)
        ends = np.arange(0, rows.size + 1, n_steps, dtype=rows.dtype)
        # One product for all layers: to add one after the other would copy the total each time.
        total = csr_array((ones, rows.ravel(), ends), shape=(n, steps.shape[0])) @ steps
        total.sort_indices()
        return csr_array(total)

    @cached_property
    def _steps(self) -> tuple[csr_array, list[int]]:
        """Workloads of every edge and every last state, a row each, and where each layer's begin.

        Layers that are one object share their rows.
        """
        counts, firsts, seen, n = [], [], dict[int, int](), 0
        for layer in self.layers:
            if id(layer) not in seen:
                seen[id(layer)] = n
                counts.append(layer.counts)
                n += len(layer.source)
            firsts.append(seen[id(layer)])
        return csr_array(vstack([*counts, self.final], format="csr")), [*firsts, n]


class _Ranked:
    """Paths of a graph by rank: they are ordered by their edges, the first layer's first."""

    def __init__(self, graph: LayeredGraph) -> None:
        n_states = graph.final.shape[0]
        self._layers = []
        for layer, finish in zip(graph.layers, graph.n_paths[1:], strict=True):
            order = np.argsort(layer.source, kind="stable")
            target = layer.target[order]
            n_out = np.bincount(layer.source, minlength=n_states)
            begin = np.cumsum(n_out) - n_out
            # Where more ways lead on than there are paths, no path comes.
            n_below = np.array([min(finish[t], graph.size) for t in target])
            before = np.cumsum(n_below) - n_below
            before -= before[begin[layer.source[order]]]
            self._layers.append((n_out, begin, before, n_below, layer.choice[order], target))

    def __call__(self, first: int, last: int) -> IntArray:
        """Paths of the ranks `first` to `last - 1`, (last - first, d).

        Paths that begin alike follow each other. So beginnings are grown layer by layer, and those
        of which no path has one of these ranks are dropped.
        """
        rank, state = np.zeros((2, 1), dtype=np.int64)  # of the first path that begins so
        grown = []
        for n_out, begin, before, n_below, choice, target in self._layers:
            n = n_out[state]
            parent = np.repeat(np.arange(len(state)), n)
            edge = np.arange(len(parent)) + np.repeat(begin[state] - np.cumsum(n) + n, n)
            rank = rank[parent] + before[edge]
            in_range = np.maximum(rank, first) < np.minimum(rank + n_below[edge], last)
            rank, edge = rank[in_range], edge[in_range]
            state = target[edge]
            grown.append((choice[edge], parent[in_range]))
        columns = np.empty((len(grown), last - first), dtype=np.int64)
        node = np.arange(last - first)
        for column, (choice, parent) in zip(columns[::-1], grown[::-1], strict=True):
            column[:] = choice[node]
            node = parent[node]
        return columns.T


class LayeredSpace(ABC):
    """Base of spaces whose canonical rows are the paths of a graph, with what follows from that.

    A space need not inherit from it: `graph_of` knows any with such a graph.
    """

    @property
    @abstractmethod
    def graph(self) -> LayeredGraph:
        """Graph with one layer per variable."""

    @property
    def size(self) -> int:
        """Exact number of distinct architectures."""
        return self.graph.size

    def enumerate(self, chunk: int = 65_536) -> Iterator[IntArray]:
        """Yields each canonical row once, in chunks (m, d) of at most `chunk` rows."""
        return self.graph.enumerate(chunk)

    def sample(self, n: int, rng: np.random.Generator) -> IntArray:
        """Canonical rows (n, d), uniform over distinct architectures, with replacement."""
        return self.graph.sample(n, rng)

    def count_workloads(self, X: IntArray) -> csr_array:
        """Number of times that each canonical row needs each workload, (n, n_workloads)."""
        return self.graph.count(X)

    def __repr__(self) -> str:
        return summary.line(cast(SearchSpace, self))

    def _repr_html_(self) -> str:
        return summary.html(cast(SearchSpace, self))

    def to_pandas(self) -> "pd.DataFrame":
        """The variables, a row each: name, number of choices, choices."""
        return summary.table(cast(SearchSpace, self))


def graph_of(space: SearchSpace) -> LayeredGraph | None:
    """Graph of a layered space; None if a space is not layered.

    A space without workloads whose rows are all canonical is layered, whether it says so or not:
    its graph has one state, and an edge for each choice.
    """
    graph = getattr(space, "graph", None)
    if isinstance(graph, LayeredGraph):
        return graph
    if space.workloads:
        return None
    n_choices = tuple(len(variable.choices) for variable in space.variables)
    return _free_graph(n_choices) if space.size == math.prod(n_choices) else None


@lru_cache(maxsize=64)
def _free_graph(n_choices: tuple[int, ...]) -> LayeredGraph:
    """Graph of all rows of as many choices, without workloads."""
    layers = tuple(
        Layer(
            source=np.zeros(n, dtype=np.int64),
            choice=np.arange(n),
            target=np.zeros(n, dtype=np.int64),
            counts=csr_array((n, 0), dtype=np.int64),
        )
        for n in n_choices
    )
    return LayeredGraph(layers, csr_array((1, 0), dtype=np.int64))


def check_width(X: IntArray, d: int) -> None:
    """Refuses rows that do not have one value per variable.

    Raises:
        ValueError: if so.
    """
    if X.ndim != 2 or X.shape[1] != d:
        raise ValueError(
            f"Rows must have {d} values, one per variable, but these have {X.shape[-1]}."
        )


def refuse(X: IntArray, row: int) -> NoReturn:
    """Raises the error for row number `row` of X, which is not canonical.

    Raises:
        ValueError: always.
    """
    raise ValueError(
        f"Rows must be canonical, but row {row} is {X[row].tolist()}. "
        "Pass it through `repair` first."
    )


def stack_counts(rows: Sequence[Mapping[int, int]], n_workloads: int) -> csr_array:
    """Sparse counts (n, n_workloads) from n mappings of workload index to count."""
    ends = np.cumsum([0, *map(len, rows)])
    index = np.fromiter((i for row in rows for i in row), np.int64, ends[-1])
    counts = np.fromiter((n for row in rows for n in row.values()), np.int64, ends[-1])
    stacked = csr_array((counts, index, ends), shape=(len(rows), n_workloads))
    stacked.sort_indices()
    return stacked


def not_canonical(space_name: str, row: IntArray) -> ValueError:
    """Error for one row that is not canonical in a space."""
    return ValueError(
        f"`row` must be a canonical encoding of {space_name}, but got "
        f"{np.asarray(row).tolist()}. Pass it through `repair` first."
    )
