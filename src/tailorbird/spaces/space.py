"""The contract of a search space.

An *encoding* is a row of ints, one per variable, each an index into that variable's choices.
A batch of them is `X` of shape (n, d).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from tailorbird.notebook import listed, named
from tailorbird.spaces.workload import Workload

if TYPE_CHECKING:
    from torch import nn

LARGEST_LISTED = 200_000
"""Size up to which a space must list its networks: searches may look at all of them."""

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Variable:
    """One decision of an architecture: a column of encodings, whose values index `choices`."""

    name: str
    choices: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Variable({named(self.name)}, {listed(self.choices)})"


class SearchSpace(Protocol):
    """Finite set of networks that can be built, and the workloads that each consists of.

    A space may leave its workloads open: `workloads` is () then, and counts are of shape (n, 0).
    Networks are told apart by their encoding alone, and timed whole.

    A space may also have the members of `HasMutation`, `HasPeakMemory`, `HasPaths` and
    `ReadsTexts`, those of `shared.HasPieces`, whose networks can be trained together, and a `graph`
    as in `layered.LayeredSpace`; they are used where they are there.
    """

    @property
    def name(self) -> str:
        """Name with settings; two spaces of one name hold the same architectures."""

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The d columns of an encoding."""

    @property
    def size(self) -> int:
        """Exact number of distinct architectures."""

    @property
    def workloads(self) -> tuple[Workload, ...]:
        """All workloads that any architecture of the space can need; () if they are not known."""

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of a whole network's input, batch first, as torch takes it."""

    @property
    def landmarks(self) -> IntArray:
        """Reference architectures as canonical rows (k, d); every search starts from them."""

    def repair(self, X: IntArray) -> IntArray:
        """Returns the canonical rows (n, d) of any rows (n, d) within the choices.

        Two rows are the same architecture iff their canonical rows are equal.
        """

    def enumerate(self, chunk: int = 65_536) -> Iterator[IntArray]:
        """Yields each canonical row once, in chunks (m, d) of at most `chunk` rows.

        Raises:
            ValueError: if the space is too large to enumerate, beyond `LARGEST_LISTED`.
        """

    def sample(self, n: int, rng: np.random.Generator) -> IntArray:
        """Canonical rows (n, d), uniform over distinct architectures, with replacement.

        A union draws equal parts from its members, uniform over those of each.
        """

    def count_workloads(self, X: IntArray) -> csr_array:
        """Number of times that each canonical row needs each workload, (n, n_workloads).

        Raises:
            ValueError: if a row is not canonical.
        """

    def build(self, row: IntArray) -> "nn.Module":
        """The network of one canonical row with fresh weights. Imports torch."""

    def describe(self, row: IntArray) -> str:
        """One canonical row as text; distinct architectures have distinct texts."""

    def kind(self, row: IntArray) -> str:
        """Label for the sort of architecture, such as `stitched`, in legends and tables."""


@runtime_checkable
class ReadsTexts(Protocol):
    """A space that reads the texts of its networks, also those that are not canonical."""

    def row_of(self, text: str) -> IntArray | None:
        """Row (d,) within the choices that a text describes; None if it describes none."""


class Step(Protocol):
    """Variation operator that leads from each network to another one near it."""

    def __call__(self, X: IntArray, rng: np.random.Generator) -> IntArray:
        """Rows (n, d) within the choices, not always canonical, from canonical ones (n, d)."""


@runtime_checkable
class HasMutation(Protocol):
    """A space that brings its own mutation operator."""

    def mutation(self) -> Step | None:
        """The operator; None where another choice for one variable does as well."""


@runtime_checkable
class HasPeakMemory(Protocol):
    """A space whose networks hold more at once than any of their workloads does alone."""

    def peak_activation_bytes(self, X: IntArray) -> IntArray:
        """The most that live activations of canonical rows (n, d) hold at once, (n,).

        Raises:
            ValueError: if a row is not canonical.
        """


@runtime_checkable
class HasPaths(Protocol):
    """A space of cells, which are known by what lies on their paths from input to output."""

    def operations_on_paths(self, X: IntArray) -> IntArray:
        """How often each operation occurs on each path, (n, n_paths, n_operations).

        Paths that are not there in a canonical row of X (n, d) have -1.
        """
