"""Peak memory of NAS-Bench-201's networks; in a cell, nodes outlive the edges that read them."""

from functools import lru_cache

import numpy as np

from tailorbird.spaces.cells.cell import EDGES, OPERATIONS, OUTPUT, SKIP
from tailorbird.spaces.footprint import workload_peak_bytes
from tailorbird.spaces.layered import refuse
from tailorbird.spaces.space import IntArray, SearchSpace

_MAPS = {SKIP: 0, 2: 3, 3: 3, 4: 1}  # that an operation makes: ReLU, convolution, norm; mean
_BYTES = 4  # of a value


def peak_bytes(space: SearchSpace, X: IntArray) -> IntArray:
    """The most that the live activations of canonical rows (n, 6) hold at once, (n,).

    As `footprint` counts it: no map is written over, a skip copies nothing, and a map lives until
    its last reader has run. Maps of the first stage are the largest, so the other cells hold less.

    Raises:
        ValueError: if a row is not canonical.
    """
    outside = [w for w in space.workloads if w.op.startswith("cell_")]  # stem, reductions, head
    map_bytes = _BYTES * int(np.prod(space.workloads[0].inputs[0]))
    astray = (space.repair(X) != X).any(axis=1)
    if astray.any():
        refuse(X, int(np.argmax(astray)))
    in_cells = map_bytes * _of_every_cell()[tuple(X.T)]
    return np.asarray(np.maximum(workload_peak_bytes(outside).max(), in_cells))


@lru_cache(maxsize=1)
def _of_every_cell() -> IntArray:
    """The most maps that a cell holds at once, an axis of choices for each edge."""
    shape = (len(OPERATIONS),) * len(EDGES)
    return np.array([_n_live(cell) for cell in np.ndindex(shape)], dtype=np.int64).reshape(shape)


def _n_live(cell: tuple[int, ...]) -> int:
    """Number of maps that one cell holds at most, each followed by its number; the input is 0."""
    nodes, reads, n_maps = {0: 0}, list[tuple[int, ...]](), 1

    def write(*read: int) -> int:
        nonlocal n_maps
        reads.append(read)
        n_maps += 1
        return n_maps - 1

    for (source, target), op in zip(EDGES, cell, strict=True):
        if op == 0 or source not in nodes:
            continue
        y = nodes[source]
        for _ in range(_MAPS[op]):
            y = write(y)
        nodes[target] = write(nodes[target], y) if target in nodes else y
    reads.append((nodes[OUTPUT],) if OUTPUT in nodes else (0,))
    # Step i makes map i + 1; a map that nobody reads is gone after it.
    last = {read: step for step, several in enumerate(reads) for read in several}
    return max(
        sum(first - 1 <= step <= last.get(first, first - 1) for first in range(n_maps))
        for step in range(len(reads))
    )
