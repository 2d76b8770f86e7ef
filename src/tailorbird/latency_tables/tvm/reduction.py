"""Sums that are no products of two operands: means, norms, softmax, pooling."""

from typing import Any

from tailorbird.latency_tables.tvm.blocks import extent, operands, reduces, uses
from tailorbird.latency_tables.tvm.target import VectorUnit

_ACCUMULATORS = 4  # registers that a channel-wise sum keeps, so that additions overlap


def schedule_reduction(s: Any, block: Any, unit: VectorUnit) -> None:
    """Sums over other axes than the last keep a few registers of it.

    A sum over the contiguous axis stays as it is: with reassociation allowed, LLVM vectorises it.
    """
    realised = s.get(block)
    variables = list(realised.iter_vars)
    spatial = [k for k, v in enumerate(variables) if not reduces(v)]
    if not spatial:
        return
    column = variables[spatial[-1]]
    if not all(uses(region.region[-1], column) for region in operands(s, block)):
        return
    loops = s.get_loops(block)
    if len(loops) != len(variables):
        return
    last = loops[spatial[-1]]
    length = extent(s, last)
    lanes = next((v for v in (unit.lanes, unit.lanes // 2, unit.lanes // 4) if length % v == 0), 0)
    if lanes <= 1:
        return
    vectors = next(v for v in range(_ACCUMULATORS, 0, -1) if (length // lanes) % v == 0)
    panel, vector, lane = s.split(last, [None, vectors, lanes])
    reduced = [loops[k] for k, v in enumerate(variables) if reduces(v)]
    outer = [loops[k] for k in spatial[:-1]]
    s.reorder(*outer, panel, *reduced, vector, lane)
    s.vectorize(lane)
    s.unroll(vector)
    s.decompose_reduction(block, reduced[0])
