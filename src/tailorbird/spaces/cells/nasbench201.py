"""The cells of NAS-Bench-201 in their network for CIFAR."""

import re
from collections.abc import Iterator
from functools import cached_property, partial
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from tailorbird.errors import require
from tailorbird.spaces import summary
from tailorbird.spaces.cells.cell import EDGES, OPERATIONS, OUTPUT, SKIP
from tailorbird.spaces.cells.peak_memory import peak_bytes
from tailorbird.spaces.layered import check_width, refuse
from tailorbird.spaces.space import IntArray, Variable
from tailorbird.spaces.workload import Workload, module_workload

if TYPE_CHECKING:
    import pandas as pd
    from torch import nn

_workload = partial(module_workload, "tailorbird.spaces.cells.modules")
_SIDE = 32
_WIDTHS = (16, 32, 64)  # of the stages; each halves the side of the one before
_CELLS_PER_STAGE = 5

_TIMED = (2, 3, 4)  # operations
_BITS = 1 << np.arange(len(EDGES))
_PATHS = (0b001000, 0b010001, 0b100010, 0b100101)  # 0-3, 0-1-3, 0-2-3, 0-1-2-3: bit k is edge k
_ENTERS = np.array([[target == node for node in (1, 2, 3)] for _, target in EDGES], dtype=np.int64)


def _live_edges() -> NDArray[np.bool_]:
    """True for edges on a whole path, for each set of edges that are not none, (64, 6)."""
    sets = np.arange(1 << len(EDGES))
    live = np.zeros_like(sets)
    for path in _PATHS:
        live |= np.where(sets & path == path, path, 0)
    return np.asarray(live[:, None] & _BITS > 0)


_LIVE = _live_edges()


class NasBench201:
    """Cells of four nodes with an operation on each of their six edges.

    An edge is dead if it is on no path of edges from node 0 to node 3 that are not none. Two cells
    are the same architecture iff their graphs are equal once dead edges are none: of 15,625 rows
    9,445 are distinct, one of which is the cell without any path. That cell outputs zeros; its
    network can be built, and costs its stem, reductions and head. Cells that only compute the same
    (two skips one after the other are one) stay apart.

    None and skip cost nothing; each edge beyond the first that enters a node costs an `add`.

    Args:
        batch: batch size.
        n_classes: outputs of the head.

    References:
        Dong, Yang: NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search.
        ICLR 2020.
    """

    def __init__(self, batch: int = 1, n_classes: int = 10) -> None:
        for name, value in (("batch", batch), ("n_classes", n_classes)):
            if value < 1:
                raise ValueError(f"`{name} >= 1` must hold, but got {value}.")
        self.name = f"nasbench201(n_classes={n_classes})"
        self.n_classes = n_classes
        self.input_shape = (batch, 3, _SIDE, _SIDE)
        self.variables = tuple(Variable(f"op_{i}_{j}", OPERATIONS) for i, j in EDGES)

    def __repr__(self) -> str:
        return summary.line(self)

    def _repr_html_(self) -> str:
        return summary.html(self)

    def to_pandas(self) -> "pd.DataFrame":
        """The variables, a row each: name, number of choices, choices."""
        return summary.table(self)

    @property
    def workloads(self) -> tuple[Workload, ...]:
        """Workloads of the cells of each stage, then those that every network has once."""
        return (*(w for stage in self._stages for w in stage), *self._once)

    @cached_property
    def _stages(self) -> tuple[tuple[Workload, ...], ...]:
        """Workloads of each stage's cells: the operations that are timed, then `add`."""
        stages = []
        for x in self._maps:
            width = {"width": x[1], "to": x[1]}
            convolutions = (
                _workload("Convolution", "relu_conv_bn", {**width, "kernel": kernel}, x)
                for kernel in (1, 3)
            )
            pool = _workload("Pool", "avg_pool", {"kernel": 3}, x)
            stages.append((*convolutions, pool, _workload("Add", "add", {}, x, x)))
        return tuple(stages)

    @cached_property
    def _once(self) -> tuple[Workload, ...]:
        """Workloads that every network has once: stem, reductions between stages, head."""
        reductions = (
            _workload("Reduction", "cell_reduction", {"width": x[1], "to": to}, x)
            for x, to in zip(self._maps[:-1], _WIDTHS[1:], strict=True)
        )
        stem = {"width": _WIDTHS[0]}
        head = {"width": _WIDTHS[-1], "classes": self.n_classes}
        return (
            _workload("Stem", "cell_stem", stem, self.input_shape),
            *reductions,
            _workload("Head", "cell_head", head, self._maps[-1]),
        )

    @property
    def _maps(self) -> list[tuple[int, ...]]:
        """Shape (batch, width, side, side) of the activations in each stage."""
        return [
            (self.input_shape[0], width, _SIDE >> stage, _SIDE >> stage)
            for stage, width in enumerate(_WIDTHS)
        ]

    @cached_property
    def _rows(self) -> IntArray:
        """Every canonical row once, (size, 6)."""
        rows = np.array(list(product(range(len(OPERATIONS)), repeat=len(EDGES))), dtype=np.int64)
        return np.unique(self.repair(rows), axis=0)

    @property
    def size(self) -> int:
        """Exact number of distinct cells, the dead one included."""
        return len(self._rows)

    @property
    def landmarks(self) -> IntArray:
        """The cells with a 3x3 convolution, and with a skip, on every edge, (2, 6)."""
        return np.repeat([[OPERATIONS.index("nor_conv_3x3")], [SKIP]], len(EDGES), axis=1)

    def repair(self, X: IntArray) -> IntArray:
        """Sets dead edges to none."""
        return np.where(_LIVE[(X > 0) @ _BITS], X, 0)

    def enumerate(self, chunk: int = 65_536) -> Iterator[IntArray]:
        """Yields each canonical row once, in chunks (m, 6) of at most `chunk` rows."""
        for first in range(0, self.size, chunk):
            yield self._rows[first : first + chunk].copy()

    def sample(self, n: int, rng: np.random.Generator) -> IntArray:
        """Canonical rows (n, 6), uniform over distinct cells, with replacement."""
        return self._rows[rng.integers(self.size, size=n)]

    def count_workloads(self, X: IntArray) -> csr_array:
        """Number of times that each canonical row needs each workload, (n, n_workloads)."""
        self._check(X)
        operations = [np.equal(X, op).sum(axis=1) for op in _TIMED]
        adds = np.maximum((X > 0) @ _ENTERS - 1, 0).sum(axis=1)
        of_stage = _CELLS_PER_STAGE * np.column_stack([*operations, adds])
        once = np.ones((len(X), len(self._once)), dtype=np.int64)
        return csr_array(np.hstack([*[of_stage] * len(_WIDTHS), once]).astype(np.int64))

    def operations_on_paths(self, X: IntArray) -> IntArray:
        """Number of times each operation but none occurs on each path, (n, n_paths, n_operations).

        Paths lead from input to output; -1 marks those that hold a none.
        """
        self._check(X)
        counted = []
        for path in _PATHS:
            on_path = X[:, path & _BITS > 0]
            times = np.stack([(on_path == op).sum(axis=1) for op in range(1, len(OPERATIONS))], 1)
            counted.append(np.where((on_path == 0).any(axis=1)[:, None], -1, times))
        return np.stack(counted, axis=1)

    def peak_activation_bytes(self, X: IntArray) -> IntArray:
        """The most that live activations of canonical rows (n, 6) hold at once, (n,)."""
        return peak_bytes(self, X)

    def build(self, row: IntArray) -> "nn.Module":
        """The network of one canonical row with fresh weights. Imports torch."""
        require("torch")
        from torch import nn

        from tailorbird.spaces.cells.modules import Cell

        self._check(row[None])
        live = [(edge, int(op)) for edge, op in zip(EDGES, row, strict=True) if op > 0]

        def cell(stage: tuple[Workload, ...]) -> nn.Module:
            operations = [
                nn.Identity() if op == SKIP else stage[_TIMED.index(op)].build() for _, op in live
            ]
            return Cell([edge for edge, _ in live], operations, stage[-1].build(), OUTPUT)

        *before, head = (workload.build() for workload in self._once)
        layers = []
        for first, stage in zip(before, self._stages, strict=True):
            layers += [first, *(cell(stage) for _ in range(_CELLS_PER_STAGE))]
        return nn.Sequential(*layers, head)

    def describe(self, row: IntArray) -> str:
        """Text as the benchmark writes it: `|op~0|+|op~0|op~1|+|op~0|op~1|op~2|`."""
        nodes: dict[int, str] = {}
        for (source, target), op in zip(EDGES, row, strict=True):
            nodes[target] = nodes.get(target, "|") + f"{OPERATIONS[op]}~{source}|"
        return "+".join(nodes.values())

    def row_of(self, text: str) -> IntArray | None:
        """Row that a text of the benchmark describes, canonical or not; None if it is none."""
        operations = [edge.partition("~")[0] for edge in re.findall(r"[a-z_0-9]+~[0-9]", text)]
        if len(operations) != len(EDGES) or not {*operations} <= {*OPERATIONS}:
            return None
        row = np.array([OPERATIONS.index(operation) for operation in operations], dtype=np.int64)
        return row if self.describe(row) == text else None

    def kind(self, row: IntArray) -> str:
        """`cell`, for every row."""
        return "cell"

    def _check(self, X: IntArray) -> None:
        """Refuses rows (n, d) that are not canonical."""
        check_width(X, len(EDGES))
        outside = ~np.isin(X, np.arange(len(OPERATIONS)))
        wrong = (outside | (self.repair(X) != X)).any(axis=1)
        if wrong.any():
            refuse(X, int(np.argmax(wrong)))
