"""Modules that have nothing in common but a latency table."""

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array

from tailorbird.errors import ContractError, require, shown
from tailorbird.spaces import summary
from tailorbird.spaces.layered import not_canonical
from tailorbird.spaces.space import IntArray, Variable
from tailorbird.spaces.workload import Workload

if TYPE_CHECKING:
    import pandas as pd
    from torch import nn


class Programs:
    """Space whose networks are given modules, each a workload of its own.

    Args:
        name: of the space.
        modules: module and shape of its input by name, or shapes if it has several.

    Raises:
        ContractError: if they are none, or cannot be measured.
    """

    def __init__(self, name: str, modules: object) -> None:
        self.name = name
        self._modules = _checked(modules)

    @cached_property
    def workloads(self) -> tuple[Workload, ...]:
        """A workload for each module, in their order."""
        return tuple(
            Workload.from_module(name, module, *inputs)
            for name, (module, inputs) in self._modules.items()
        )

    @property
    def variables(self) -> tuple[Variable, ...]:
        """One variable, which says which module it is."""
        return (Variable("program", tuple(self._modules)),)

    @property
    def size(self) -> int:
        """Number of modules."""
        return len(self._modules)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of the first module's first input; those of others differ."""
        return next(iter(self._modules.values()))[1][0]

    @property
    def landmarks(self) -> IntArray:
        """All rows, (n, 1)."""
        return np.arange(self.size)[:, None]

    def repair(self, X: IntArray) -> IntArray:
        """Returns the rows as they are."""
        return X.copy()

    def enumerate(self, chunk: int = 65_536) -> Iterator[IntArray]:
        """Yields each row once."""
        for first in range(0, self.size, chunk):
            yield self.landmarks[first : first + chunk]

    def sample(self, n: int, rng: np.random.Generator) -> IntArray:
        """Rows (n, 1), with replacement."""
        return rng.integers(self.size, size=(n, 1))

    def count_workloads(self, X: IntArray) -> csr_array:
        """One workload for each row, (n, n_workloads)."""
        for row in X:
            self._name(row)
        ones = np.ones(len(X), dtype=np.int64)
        return csr_array((ones, (np.arange(len(X)), X[:, 0])), shape=(len(X), self.size))

    def build(self, row: IntArray) -> "nn.Module":
        """A copy of the module of a row."""
        self._name(row)
        module: nn.Module = self.workloads[row[0]].build()
        return module

    def describe(self, row: IntArray) -> str:
        """Name of the module of a row."""
        return self._name(row)

    def kind(self, row: IntArray) -> str:
        """`program`, for every row."""
        return "program"

    def __repr__(self) -> str:
        return summary.line(self)

    def _repr_html_(self) -> str:
        return summary.html(self)

    def to_pandas(self) -> "pd.DataFrame":
        """The one variable, whose choices are the modules' names."""
        return summary.table(self)

    def _name(self, row: IntArray) -> str:
        if len(row) != 1 or not 0 <= row[0] < self.size:
            raise not_canonical(self.name, row)
        return str([*self._modules][row[0]])


def _checked(modules: object) -> dict[str, tuple["nn.Module", tuple[tuple[int, ...], ...]]]:
    """Modules with the shapes of their inputs, by name.

    Raises:
        ContractError: if they are no such thing.
    """
    if not isinstance(modules, Mapping) or not modules:
        raise ContractError(
            'Programs must be given as {"name": (module, input shape), ...}, one at least, but got '
            f"{shown(modules)}."
        )
    return {_name(name): _pair(name, value) for name, value in modules.items()}


def _name(name: object) -> str:
    if not isinstance(name, str):
        raise ContractError(f"Names of programs must be texts, but got {shown(name)}.")
    return name


def _pair(name: str, value: object) -> tuple["nn.Module", tuple[tuple[int, ...], ...]]:
    require("torch")
    from torch import nn

    module, given = value if isinstance(value, tuple | list) and len(value) == 2 else (None, None)
    if not isinstance(module, nn.Module) or not isinstance(given, tuple | list):
        raise ContractError(
            "A program must be a torch module with the shape of its input, or with a tuple of "
            f"shapes, but {name!r} is {shown(value)}."
        )
    are_several = bool(given) and all(isinstance(shape, tuple | list) for shape in given)
    return module, tuple(map(tuple, given if are_several else (given,)))
