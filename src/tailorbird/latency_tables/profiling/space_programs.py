"""Programs of a space: its workloads, as cold as in its networks, and whole networks."""

import numpy as np

from tailorbird.latency_tables.program import Program, seeded
from tailorbird.spaces import CALL, IntArray, SearchSpace
from tailorbird.spaces.footprint import weight_bytes

_SAMPLED = 2_000


def programs_of(space: SearchSpace) -> list[Program]:
    """Every workload of a space that it knows, and the empty program."""
    sizes = network_bytes(space)
    programs = [Program.of(w, n) for w, n in zip(space.workloads, sizes.tolist(), strict=True)]
    return [*programs, Program.of(CALL)]


def network_program(space: SearchSpace, row: IntArray) -> Program:
    """The whole network of a canonical row, with fresh weights."""
    shape = space.input_shape
    key = f"{space.name}/{space.describe(row)}[{'x'.join(map(str, shape))}]f32"
    return Program(key, lambda: space.build(row), (shape,))


def network_bytes(space: SearchSpace) -> IntArray:
    """Median size of the networks that hold each workload, in bytes of weights.

    Between two uses of its weights a network reads all others once. A workload that no sampled
    network holds is taken to be in a median network.

    Returns:
        Shape (n_workloads,).
    """
    if not space.workloads:
        return np.zeros(0, dtype=np.int64)
    with seeded():
        of_workload = np.array([weight_bytes(w.build()) for w in space.workloads])
    X = space.sample(_SAMPLED, np.random.default_rng(0))
    counts = space.count_workloads(np.unique(np.concatenate([space.landmarks, X]), axis=0))
    of_network = counts @ of_workload
    holders = counts.tocsc()
    medians = [
        np.median(of_network[rows] if len(rows) else of_network)
        for rows in np.split(holders.indices, holders.indptr[1:-1])
    ]
    return np.array(medians, dtype=np.int64)
