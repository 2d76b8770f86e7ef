"""Unions of search spaces."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array, vstack

from tailorbird.spaces import summary
from tailorbird.spaces.layered import MAX_ENUMERATED, LayeredGraph, graph_of
from tailorbird.spaces.space import IntArray, SearchSpace, Step, Variable
from tailorbird.spaces.unions.graph import joined, spread
from tailorbird.spaces.unions.laws import check_members, label_of
from tailorbird.spaces.unions.moves import MemberMoves
from tailorbird.spaces.unions.rows import MemberRows
from tailorbird.spaces.workload import Workload

if TYPE_CHECKING:
    import pandas as pd
    from torch import nn


class Union:
    """Space of all networks of several spaces, its members, which take the same images.

    An encoding is (member, variables of the first member, variables of the second, …). In a
    canonical row those of the member that it names are canonical there, and all others 0. A
    workload that several members have is one workload. A union of layered spaces is layered.

    `union_of` makes unions, with the members that `HasPeakMemory` and `HasPieces` have where they
    can be had.

    Args:
        members: two at least, told apart by their names before settings, `digits-resnet(…)`.

    Raises:
        ContractError: if they are no such spaces.
    """

    def __init__(self, members: Sequence[SearchSpace]) -> None:
        self.members = tuple(members)
        self.labels = tuple(map(label_of, self.members))
        check_members(self.members)
        self.name = f"union({', '.join(member.name for member in self.members)})"
        self.rows = MemberRows(self.name, self.members)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of a whole network's input, the same for all members."""
        return self.members[0].input_shape

    @cached_property
    def variables(self) -> tuple[Variable, ...]:
        """Variable `member`, then those of each member under its label: `digits-resnet.start`."""
        return (
            Variable("member", self.labels),
            *(
                Variable(f"{label}.{variable.name}", variable.choices)
                for label, member in zip(self.labels, self.members, strict=True)
                for variable in member.variables
            ),
        )

    @cached_property
    def size(self) -> int:
        """Exact number of architectures, which are those of all members."""
        return sum(int(member.size) for member in self.members)

    @cached_property
    def workloads(self) -> tuple[Workload, ...]:
        """Distinct workloads of all members, in their order."""
        return tuple(dict.fromkeys(w for member in self.members for w in member.workloads))

    @cached_property
    def landmarks(self) -> IntArray:
        """Reference architectures of all members, (k, d)."""
        return np.vstack(
            [self.rows.of(m, member.landmarks) for m, member in enumerate(self.members)]
        )

    def repair(self, X: IntArray) -> IntArray:
        """Repairs what is of each row's member, and sets all else to 0."""
        repaired = np.zeros_like(X)
        for m, at, rows in self.rows.parts(X):
            repaired[at] = self.rows.of(m, self.members[m].repair(rows))
        return repaired

    def enumerate(self, chunk: int = 65_536) -> Iterator[IntArray]:
        """Yields each canonical row once, member by member, in chunks (m, d).

        Raises:
            ValueError: if there are too many, or a member has.
        """
        if self.size > MAX_ENUMERATED:
            raise ValueError(
                f"Enumeration stops at {MAX_ENUMERATED:,} architectures, but this union has "
                f"{self.size:,}. Narrow its spaces, or sample it."
            )
        for m, member in enumerate(self.members):
            for X in member.enumerate(chunk):
                yield self.rows.of(m, X)

    def sample(self, n: int, rng: np.random.Generator) -> IntArray:
        """Canonical rows (n, d), uniform over the architectures of each member, with replacement.

        Members have equal parts: among those of a large one, those of a small one would never be
        drawn, and so neither evaluated nor searched.
        """
        drawn = rng.integers(len(self.members), size=n)
        X = np.empty((n, self.rows.width), dtype=np.int64)
        for m, member in enumerate(self.members):
            at = np.flatnonzero(drawn == m)
            if len(at):  # spaces of users need not know what no networks are
                X[at] = self.rows.of(m, member.sample(len(at), rng))
        return X

    def count_workloads(self, X: IntArray) -> csr_array:
        """Number of times that each canonical row needs each workload, (n, n_workloads).

        Raises:
            ValueError: if a row is not canonical.
        """
        counts, order = [csr_array((0, len(self.workloads)), dtype=np.int64)], list[IntArray]()
        for m, at, rows in self.rows.canonical_parts(X):
            counts.append(spread(self.members[m].count_workloads(rows), *self._placed(m)))
            order.append(at)
        stacked = csr_array(vstack(counts, format="csr"))
        if not order:
            return stacked
        found = csr_array(stacked[np.argsort(np.concatenate(order))])
        found.sort_indices()
        return found

    def build(self, row: IntArray) -> "nn.Module":
        """The network of one canonical row with fresh weights. Imports torch."""
        m, own = self.rows.own(row)
        return self.members[m].build(own)

    def describe(self, row: IntArray) -> str:
        """The member, and its text: `digits-resnet: w4:0-2 > w8:3-5`."""
        m, own = self.rows.own(row)
        return f"{self.labels[m]}: {self.members[m].describe(own)}"

    def kind(self, row: IntArray) -> str:
        """Kind of the network in its member."""
        m, own = self.rows.own(row)
        return self.members[m].kind(own)

    def mutation(self) -> Step:
        """Mutation by each row's member, or now and then into another one."""
        return MemberMoves(self.members, self.rows)

    @cached_property
    def graph(self) -> LayeredGraph | None:
        """Graph whose first layer chooses the member; None if one is not layered."""
        graphs = list[LayeredGraph]()
        for member in self.members:
            graph = graph_of(member)
            if graph is None:
                return None
            graphs.append(graph)
        placed = [self._placed(m)[0] for m in range(len(self.members))]
        return joined(graphs, placed, len(self.workloads))

    def __repr__(self) -> str:
        return summary.line(self)

    def _repr_html_(self) -> str:
        return summary.html(self)

    def to_pandas(self) -> "pd.DataFrame":
        """The variables, a row each: name, number of choices, choices."""
        return summary.table(self)

    def _placed(self, m: int) -> tuple[IntArray, int]:
        """Column of each workload of a member among those of the union, and how many there are."""
        return self._places[m], len(self.workloads)

    @cached_property
    def _places(self) -> tuple[IntArray, ...]:
        place = {workload: column for column, workload in enumerate(self.workloads)}
        return tuple(
            np.array([place[workload] for workload in member.workloads], dtype=np.int64)
            for member in self.members
        )
