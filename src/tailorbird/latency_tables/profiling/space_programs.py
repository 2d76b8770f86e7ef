"""Programs of a space: its workloads, as cold as in its networks, and whole networks."""

import hashlib

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
    return Program(network_key(space, row), lambda: space.build(row), (space.input_shape,))


def network_key(space: SearchSpace, row: IntArray, weights: str = "") -> str:
    """Key of the whole network of a canonical row.

    It ends in a digest where the author of its modules may change them.

    Args:
        space: of the network.
        row: its encoding, (d,).
        weights: fingerprint of its weights, as far as that matters.
    """
    shape = "x".join(map(str, space.input_shape))
    used = [space.workloads[i] for i in space.count_workloads(row[None]).indices]
    keys = "\n".join(sorted(workload.key for workload in used if workload.digest))
    digest = f"#{hashlib.sha256(keys.encode()).hexdigest()[:8]}" if keys else ""
    return f"{space.name}{weights}/{space.describe(row)}[{shape}]f32{digest}"


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
