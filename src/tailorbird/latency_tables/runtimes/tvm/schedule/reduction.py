"""Schedule of sums that are no contractions: means, norms, softmax, pooling."""

import math
from typing import Any

from tailorbird.latency_tables.runtimes.tvm.schedule.blocks import extent, operands, reduces, uses
from tailorbird.latency_tables.runtimes.tvm.schedule.parallel import parallelise
from tailorbird.latency_tables.runtimes.tvm.target import VectorUnit

_ACCUMULATORS = 4  # registers that a channel-wise sum keeps, so that additions overlap
_SHORTEST_VECTOR = 8  # a sum over fewer values is scalar, and too short to matter


def schedule_reduction(s: Any, block: Any, unit: VectorUnit, threads: int) -> bool:
    """Schedules a sum; one over other axes than the contiguous one keeps a few registers of it.

    A sum over the contiguous axis stays as it is: with reassociation allowed, LLVM vectorises it.

    Returns:
        True if the code is vectorised.
    """
    variables = list(s.get(block).iter_vars)
    loops = s.get_loops(block)
    spatial = [k for k, v in enumerate(variables) if not reduces(v)]
    reduced = [k for k, v in enumerate(variables) if reduces(v)]
    is_short = math.prod(extent(s, loops[k]) for k in reduced) < _SHORTEST_VECTOR
    if len(s.get(block).writes) > 1:  # LLVM vectorises no search for a place, such as argmax
        return is_short
    last = spatial[-1] if spatial else None
    if last is None or not _is_contiguous(s, block, variables[last]):
        parallelise(s, block, [loops[k] for k in spatial], unit, threads)
        return is_short or any(_is_contiguous(s, block, variables[k]) for k in reduced)
    length = extent(s, loops[last])
    lanes = unit.lanes_of(length)
    if lanes == 1:
        parallelise(s, block, [loops[k] for k in spatial], unit, threads)
        return is_short
    vectors = next(v for v in range(_ACCUMULATORS, 0, -1) if (length // lanes) % v == 0)
    panel, vector, lane = s.split(loops[last], [None, vectors, lanes])
    s.reorder(*(loops[k] for k in spatial[:-1]), panel, *(loops[k] for k in reduced), vector, lane)
    s.vectorize(lane)
    s.unroll(vector)
    parallelise(s, block, [*(loops[k] for k in spatial[:-1]), panel], unit, threads)
    s.decompose_reduction(block, loops[reduced[0]])
    return True


def _is_contiguous(s: Any, block: Any, variable: Any) -> bool:
    """True if operands depend on a variable, and those that do have it in their last axis."""
    read = [region for region in operands(s, block) if uses(region, variable)]
    return bool(read) and all(uses(region.region[-1], variable) for region in read)
