"""Chains: spaces of networks that are a sequence of workloads."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Protocol

import numpy as np
from scipy.sparse import csr_array

from tailorbird.errors import require
from tailorbird.spaces.layered import Layer, LayeredGraph, LayeredSpace, not_canonical, stack_counts
from tailorbird.spaces.outline import Outline, in_a_row
from tailorbird.spaces.shared import Piece
from tailorbird.spaces.space import IntArray, Variable
from tailorbird.spaces.workload import Workload

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, slots=True)
class Edge:
    """What a choice does in a state: where it leads, and the workloads that it appends.

    Attributes:
        source: state that it leaves.
        choice: value of the layer's variable.
        target: state that it enters.
        workloads: that it appends.
        places: name of the place of each workload in a network; those of one operator in one place
            share their weights. Where there are no names, it is the variable's, and how many of the
            same operator come before it on the edge.
    """

    source: int
    choice: int
    target: int
    workloads: tuple[Workload, ...] = ()
    places: tuple[str, ...] = ()


class Layout(Protocol):
    """What the networks of a chain are made of, and how their rows read."""

    @property
    def name(self) -> str:
        """Name with settings, except the batch size."""

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The d columns of an encoding."""

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of a whole network's input, batch first."""

    @property
    def first(self) -> tuple[Workload, ...]:
        """Workloads that every network begins with."""

    @property
    def edges(self) -> tuple[tuple[Edge, ...], ...]:
        """Edges of each variable, in a tuple each; paths from state 0 are the canonical rows."""

    @property
    def last(self) -> tuple[tuple[Workload, ...], ...]:
        """Workloads that a network ends with, by the state behind its last edge."""

    @property
    def landmarks(self) -> IntArray:
        """Reference architectures as canonical rows (k, d), the smallest and largest among them."""

    def repair(self, X: IntArray) -> IntArray:
        """Returns the canonical rows (n, d) of any rows (n, d) within the choices."""

    def describe(self, row: IntArray) -> str:
        """One canonical row as text, unlike that of any other."""


class Chain(LayeredSpace):
    """Layered space of the networks of a layout.

    Args:
        layout: of them.
        names: gives, for the name of a weight in state dicts of others, that in the largest network
            as it is built here; None if there is none.
    """

    def __init__(self, layout: Layout, names: Callable[[str], str | None] | None = None) -> None:
        self.layout = layout
        self._names = names
        self.name = layout.name
        self.variables = layout.variables
        self.input_shape = layout.input_shape

    @cached_property
    def landmarks(self) -> IntArray:
        """Reference architectures as canonical rows (k, d), the smallest and largest among them."""
        return self.layout.landmarks

    @cached_property
    def _steps(self) -> tuple[dict[tuple[int, int], Edge], ...]:
        """Edges of each layer by (state, choice)."""
        return tuple({(e.source, e.choice): e for e in layer} for layer in self.layout.edges)

    @cached_property
    def workloads(self) -> tuple[Workload, ...]:
        """Distinct workloads in the order in which a network can meet them."""
        between = (w for step in self._steps for edge in step.values() for w in edge.workloads)
        last = chain.from_iterable(self.layout.last)
        return tuple(dict.fromkeys((*self.layout.first, *between, *last)))

    def own_name(self, name: str) -> str | None:
        """Name in the largest network of a weight that others call by that one; None if unknown."""
        return None if self._names is None else self._names(name)

    def route(self, row: IntArray) -> tuple[Piece, ...]:
        """The pieces of one canonical row in the order in which they run.

        Raises:
            ValueError: if it is not a canonical row of this space.
        """
        state, between = 0, list[Piece]()
        if len(row) == len(self._steps):
            for step, pieces, choice in zip(self._steps, self._between, row, strict=True):
                edge = step.get((state, int(choice)))
                if edge is None:
                    break
                state = edge.target
                between += pieces[edge]
            else:
                return (*self._first, *between, *self._last[state])
        raise not_canonical(self.name, row)

    @cached_property
    def pieces(self) -> tuple[Piece, ...]:
        """Every piece that a network of this space can have, each once."""
        between = (
            piece for edges in self._between for placed in edges.values() for piece in placed
        )
        last = chain.from_iterable(self._last)
        return tuple(dict.fromkeys((*self._first, *between, *last)))

    @cached_property
    def _first(self) -> tuple[Piece, ...]:
        return _pieces("embedding", "first", self.layout.first)

    @cached_property
    def _between(self) -> tuple[dict[Edge, tuple[Piece, ...]], ...]:
        """Pieces of each edge, by layer."""
        return tuple(
            {e: _pieces("block", variable.name, e.workloads, e.places) for e in step.values()}
            for variable, step in zip(self.variables, self._steps, strict=True)
        )

    @cached_property
    def _last(self) -> tuple[tuple[Piece, ...], ...]:
        return tuple(_pieces("head", "last", workloads) for workloads in self.layout.last)

    def build(self, row: IntArray) -> "nn.Module":
        """The network of one canonical row with fresh weights. Imports torch."""
        require("torch")
        from torch import nn

        return nn.Sequential(*(piece.workload.build() for piece in self.route(row)))

    def describe(self, row: IntArray) -> str:
        """One canonical row as text; distinct architectures have distinct texts."""
        return self.layout.describe(row)

    def kind(self, row: IntArray) -> str:
        """`subnet`, for every row."""
        return "subnet"

    def outline(self, row: IntArray) -> Outline:
        """The blocks of one canonical row, beside those that others have in its place."""
        return in_a_row(self.route(row), self.pieces)

    def repair(self, X: IntArray) -> IntArray:
        """Returns the canonical rows (n, d) of any rows (n, d) within the choices."""
        return self.layout.repair(X)

    @cached_property
    def graph(self) -> LayeredGraph:
        """Graph with one layer per variable."""
        index = {workload: i for i, workload in enumerate(self.workloads)}

        def counts(routes: Iterable[tuple[Workload, ...]]) -> csr_array:
            return stack_counts(
                [dict(Counter(index[w] for w in route)) for route in routes], len(index)
            )

        layers = tuple(
            Layer(
                source=np.array([edge.source for edge in step.values()]),
                choice=np.array([edge.choice for edge in step.values()]),
                target=np.array([edge.target for edge in step.values()]),
                counts=counts(edge.workloads for edge in step.values()),
            )
            for step in self._steps
        )
        n_states = 1 + max(max(layer.source.max(), layer.target.max()) for layer in layers)
        ends = [(*self.layout.first, *last) for last in self.layout.last]
        return LayeredGraph(layers, counts([*ends, *[()] * (n_states - len(ends))]))


def _pieces(
    kind: str, at: str, workloads: Sequence[Workload], places: Sequence[str] = ()
) -> tuple[Piece, ...]:
    """Pieces of workloads that follow each other, their weights named by place and operator.

    Without places an operator is counted by itself: a head has the same weights whether or not a
    block comes before it on its edge.
    """
    seen = Counter[str]()
    pieces = []
    for number, workload in enumerate(workloads):
        place = places[number] if places else f"{at}-{seen[workload.op]}"
        seen[workload.op] += 1
        pieces.append(Piece(kind, f"{place}-{workload.op}".replace(".", "_"), workload))
    return tuple(pieces)
