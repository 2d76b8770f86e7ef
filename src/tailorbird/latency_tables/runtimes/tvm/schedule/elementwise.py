"""Blocks without a sum: vectorised along their last axis, tiled where they transpose."""

from typing import Any

from tailorbird.latency_tables.runtimes.tvm.schedule.blocks import extent, uses
from tailorbird.latency_tables.runtimes.tvm.schedule.parallel import parallelise
from tailorbird.latency_tables.runtimes.tvm.target import VectorUnit

_LONGEST_VECTOR = 64  # of an axis that no register divides; LLVM splits it
_SIDES = (16, 14, 12, 8, 7)  # of the square in which a transpose stays in the cache


def vectorise_last(s: Any, block: Any, unit: VectorUnit) -> None:
    """Vectorises the last axis in whole registers."""
    loop = s.get_loops(block)[-1]
    length = extent(s, loop)
    lanes = unit.lanes_of(length)
    if lanes > 1 and length > lanes:
        loop = s.split(loop, [None, lanes])[-1]
    elif lanes == 1 and not 1 < length <= _LONGEST_VECTOR:
        return  # LLVM vectorises a contiguous loop with its tail
    s.vectorize(loop)


def schedule_elementwise(s: Any, block: Any, unit: VectorUnit, threads: int) -> None:
    """Vectorises, and walks in squares where an operand is read along another axis."""
    crossed = _crossed_axis(s, block)
    loops = s.get_loops(block)
    if crossed is None or extent(s, loops[-1]) < 4:
        vectorise_last(s, block, unit)
        parallelise(s, block, s.get_loops(block)[:-1], unit, threads)
        return
    outer, inner = zip(
        *(s.split(loop, [None, _side(extent(s, loop))]) for loop in (loops[crossed], loops[-1])),
        strict=True,
    )
    rest = [loop for k, loop in enumerate(loops[:-1]) if k != crossed]
    s.reorder(*rest, *outer, *inner)
    s.vectorize(inner[-1])
    parallelise(s, block, [*rest, *outer], unit, threads)


def _crossed_axis(s: Any, block: Any) -> int | None:
    """Number of the axis along which an operand lies, if the block writes along another one."""
    realised = s.get(block)
    variables = list(realised.iter_vars)
    loops = s.get_loops(block)
    for region in realised.reads:
        if not region.region or not uses(region, variables[-1]):
            continue
        last = region.region[-1]
        if uses(last, variables[-1]):
            continue
        for k, variable in enumerate(variables[:-1]):
            if uses(last, variable) and extent(s, loops[k]) >= 8:
                return k
    return None


def _side(length: int) -> int:
    return next((d for d in _SIDES if length % d == 0), length if length <= 32 else 1)
