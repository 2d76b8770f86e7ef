"""One network of a space as a space of its own, so that it is trained as all of them are."""

from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.sparse import csr_array
from torch import nn

from tailorbird.spaces import IntArray, Piece, SharedSpace, Workload
from tailorbird.spaces.space import Variable
from tailorbird.training.shared.network import SharedNetwork, fresh


@dataclass(frozen=True, eq=False)
class OneNetwork:
    """Space of one network alone, whose pieces share no weights with any other.

    Attributes:
        space: of the network.
        row: its canonical row, (d,).
    """

    space: SharedSpace
    row: IntArray

    @property
    def name(self) -> str:
        """Name of the space, with the text of the network."""
        return f"{self.space.name}: {self.describe(self.row)}"

    @property
    def variables(self) -> tuple[Variable, ...]:
        """Columns of its encoding, those of the space."""
        return self.space.variables

    @property
    def size(self) -> int:
        """One."""
        return 1

    @property
    def workloads(self) -> tuple[Workload, ...]:
        """All workloads of the space."""
        return self.space.workloads

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of its input, batch first."""
        return self.space.input_shape

    @property
    def landmarks(self) -> IntArray:
        """Its row, (1, d)."""
        return self.row[None]

    @cached_property
    def pieces(self) -> Sequence[Piece]:
        """Its pieces, each once."""
        return tuple(dict.fromkeys(self._route))

    def route(self, row: IntArray) -> tuple[Piece, ...]:
        """Its pieces, in the order in which they run.

        Raises:
            ValueError: if it is another row.
        """
        if not np.array_equal(row, self.row):
            raise ValueError(f"There is the row {self.row.tolist()} only, but got {row.tolist()}.")
        return self._route

    def describe(self, row: IntArray) -> str:
        """Text of a network of the space."""
        return self.space.describe(row)

    def repair(self, X: IntArray) -> IntArray:
        """Its row as often as there are rows, (n, d)."""
        return np.tile(self.row, (len(X), 1))

    def enumerate(self, chunk: int = 65_536) -> Iterator[IntArray]:
        """Yields its row, (1, d)."""
        yield self.row[None]

    def sample(self, n: int, rng: np.random.Generator) -> IntArray:
        """Its row n times, (n, d)."""
        return np.tile(self.row, (n, 1))

    def count_workloads(self, X: IntArray) -> csr_array:
        """Number of times that each row needs each workload, (n, n_workloads)."""
        return self.space.count_workloads(X)

    def build(self, row: IntArray) -> nn.Module:
        """Its network with fresh weights."""
        return self.space.build(row)

    def kind(self, row: IntArray) -> str:
        """Kind of its network."""
        return self.space.kind(row)

    @cached_property
    def _route(self) -> tuple[Piece, ...]:
        return tuple(_named_apart(self.space.route(self.row)))


def _named_apart(route: Sequence[Piece]) -> Iterator[Piece]:
    """Gives pieces of different forms different names: taken out, they share no weights."""
    forms: dict[str, list[object]] = {}
    for piece in route:
        known = forms.setdefault(piece.weights, [])
        if piece.form not in known:
            known.append(piece.form)
        number = known.index(piece.form)
        yield piece if not number else replace(piece, weights=f"{piece.weights}+{number}")


def taken_out(one: OneNetwork, network: SharedNetwork) -> SharedNetwork:
    """A network's weights, copied from those that it shares with others.

    Args:
        one: the network.
        network: weights of all networks of its space.
    """
    alone = fresh(one, 0)
    for own, piece in zip(one.route(one.row), one.space.route(one.row), strict=True):
        alone.parts[own.weights] = deepcopy(network.module_of(piece))
    return alone
