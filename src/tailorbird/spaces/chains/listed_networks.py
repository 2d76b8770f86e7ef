"""Layouts of networks that are listed one by one, since no stage is chosen apart from others."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np

from tailorbird.spaces.chains.chain import Edge
from tailorbird.spaces.footprint import costs
from tailorbird.spaces.space import IntArray, Variable
from tailorbird.spaces.workload import Workload

Row = tuple[int, ...]
"""Index of the choice of each variable."""


@dataclass(frozen=True, slots=True)
class Network:
    """What a network has behind its first workloads.

    Attributes:
        blocks: in their order.
        places: names of theirs; blocks of one operator in one place share their weights.
        last: workloads behind them.
    """

    blocks: tuple[Workload, ...]
    places: tuple[str, ...]
    last: tuple[Workload, ...]


@dataclass(frozen=True, eq=False)
class ListedNetworks:
    """All networks that combinations of choices make.

    Where several make the same one, the first is canonical. One that makes none stands for the
    nearest that does, the first of equals, by how many choices each variable is away.

    Attributes:
        name: with settings, except the batch size.
        variables: the d columns of an encoding.
        input_shape: batch first.
        first: workloads that every network begins with.
        network: gives that of a row, or None if it makes none.
    """

    name: str
    variables: tuple[Variable, ...]
    input_shape: tuple[int, ...]
    first: tuple[Workload, ...]
    network: Callable[[Row], Network | None]

    @cached_property
    def edges(self) -> tuple[tuple[Edge, ...], ...]:
        """Edges of each variable; that of the last one appends all blocks of a network."""
        layers = []
        states: dict[Row, int] = {(): 0}
        ends = {workloads: state for state, workloads in enumerate(self.last)}
        for n in range(1, len(self.variables)):
            prefixes = [*dict.fromkeys(row[:n] for row in self._networks)]
            after = {prefix: state for state, prefix in enumerate(prefixes)}
            layers.append(tuple(Edge(states[p[:-1]], p[-1], after[p]) for p in prefixes))
            states = after
        whole = [
            Edge(states[row[:-1]], row[-1], ends[one.last], one.blocks, one.places)
            for row, one in self._networks.items()
        ]
        return (*layers, tuple(whole))

    @cached_property
    def last(self) -> tuple[tuple[Workload, ...], ...]:
        """Ends that there are, by the state behind the last edge."""
        return tuple(dict.fromkeys(network.last for network in self._networks.values()))

    @cached_property
    def landmarks(self) -> IntArray:
        """The networks of fewest, of median and of most multiply-adds, (3, d). Imports torch."""
        routes = [(*one.blocks, *one.last) for one in self._networks.values()]
        workloads = [*dict.fromkeys(workload for route in routes for workload in route)]
        macs = dict(zip(workloads, costs(workloads)[:, 0].tolist(), strict=True))
        order = np.argsort([sum(map(macs.__getitem__, route)) for route in routes], kind="stable")
        return np.array([*self._networks])[order[[0, len(order) // 2, -1]]]

    def repair(self, X: IntArray) -> IntArray:
        """Returns the canonical rows (n, d) of any rows (n, d) within the choices."""
        sizes = [len(variable.choices) for variable in self.variables]
        return np.asarray(self._canonical[np.ravel_multi_index(tuple(X.T), sizes)])

    def describe(self, row: IntArray) -> str:
        """The choice of each variable: `depth=8 initial=24 ...`."""
        return " ".join(
            f"{variable.name}={variable.choices[choice]}"
            for variable, choice in zip(self.variables, row, strict=True)
        )

    @cached_property
    def _networks(self) -> dict[Row, Network]:
        """Network of each canonical row, in the order of rows."""
        first: dict[Network, Row] = {}
        for row, network in zip(self._rows, self._made, strict=True):
            if network is not None:
                first.setdefault(network, row)
        return {row: network for network, row in first.items()}

    @cached_property
    def _canonical(self) -> IntArray:
        """Canonical row of every row, in their order."""
        canonical = np.array([*self._networks])
        row_of = {network: row for row, network in self._networks.items()}
        found = []
        for row, network in zip(self._rows, self._made, strict=True):
            nearest = int(np.abs(canonical - row).sum(axis=1).argmin())
            found.append(canonical[nearest] if network is None else row_of[network])
        return np.array(found, dtype=np.int64)

    @cached_property
    def _made(self) -> list[Network | None]:
        """Network of every row, in their order."""
        return [*map(self.network, self._rows)]

    @property
    def _rows(self) -> "product[Row]":
        return product(*(range(len(variable.choices)) for variable in self.variables))
