"""Contractions: a register tile of outputs, and what follows computed on the finished tile."""

import math
from typing import Any

from tailorbird.latency_tables.tvm.blocks import (
    extent,
    is_reduction,
    name_of,
    operands,
    reduces,
    uses,
)
from tailorbird.latency_tables.tvm.elementwise import vectorise_last
from tailorbird.latency_tables.tvm.kernels import TILE
from tailorbird.latency_tables.tvm.target import VectorUnit
from tailorbird.latency_tables.tvm.tile import Tile, choose_exact_tile, choose_tile


def schedule_contraction(s: Any, block: Any, unit: VectorUnit) -> tuple[set[str], bool]:
    """Tiles one contraction.

    Returns:
        Names of the blocks that need no further scheduling, and whether the code is vectorised: a
        width that no register divides is not, where it cannot be padded.
    """
    variables = list(s.get(block).iter_vars)
    spatial = [k for k, v in enumerate(variables) if not reduces(v)]
    extents = [int(v.dom.extent) for v in variables]
    column = spatial[-1]
    row = next((k for k in reversed(spatial[:-1]) if extents[k] > 1), None)
    annotations = s.get(block).annotations
    packed = TILE in annotations
    if packed:
        tile = Tile(*(int(v) for v in annotations[TILE]))
    else:
        m = extents[row] if row is not None else 1
        padded = _is_plain(s, block)
        choose = choose_tile if padded else choose_exact_tile
        tile = choose(m, extents[column], unit)
        if padded:
            _pad(s, block, {column: tile.columns} | ({row: tile.rows} if row is not None else {}))
    epilogue = _epilogue(s, block)

    loops = s.get_loops(block)
    reduced = [loops[k] for k, v in enumerate(variables) if reduces(v)]
    others = [k for k in spatial[:-1] if k != row]
    panel, vector, lane = s.split(loops[column], [None, tile.columns // tile.lanes, tile.lanes])
    rows_outside, rows_inside = [], []
    if row is not None:
        outside, inside = s.split(loops[row], [None, tile.rows])
        rows_outside, rows_inside = [outside], [inside]
    weights = _weights(s, block, column)
    shared = [loops[k] for k in others if weights is None or not _varies(s, block, weights, k)]
    batch = [loops[k] for k in others if loops[k] not in shared]
    s.reorder(*batch, panel, *shared, *rows_outside, *reduced, *rows_inside, vector, lane)

    handled = {name_of(s, epilogue)}
    n_uses = math.prod(extent(s, loop) for loop in (*shared, *rows_outside))
    if not packed and weights is not None and n_uses > 1:
        handled |= _pack(s, block, weights, panel, unit)
    s.reverse_compute_at(epilogue, (rows_outside or shared or [panel])[-1])
    _vectorise_epilogue(s, epilogue, tile, unit)
    s.vectorize(lane)
    for loop in (*rows_inside, vector):
        s.unroll(loop)
    initial = s.decompose_reduction(block, reduced[0])
    return handled | {name_of(s, initial), name_of(s, block)}, tile.lanes > 1


def _is_plain(s: Any, block: Any) -> bool:
    """Whether every operand is indexed by single variables, so that it can be padded."""
    return all(
        type(axis.min).__name__ in ("Var", "IntImm")
        for region in operands(s, block)
        for axis in region.region
    )


def _pad(s: Any, block: Any, multiples: dict[int, int]) -> None:
    variables = list(s.get(block).iter_vars)
    if any(int(variables[k].dom.extent) % multiple for k, multiple in multiples.items()):
        s.pad_einsum(block, [multiples.get(k, 1) for k in range(len(variables))])


def _epilogue(s: Any, block: Any) -> Any:
    """The block that takes the finished tile; crops before it are inlined into it."""
    consumers = s.get_consumers(block)
    while (
        len(consumers) == 1 and s.get_consumers(consumers[0]) and not is_reduction(s, consumers[0])
    ):
        s.compute_inline(consumers[0])
        consumers = s.get_consumers(block)
    if len(consumers) == 1 and not is_reduction(s, consumers[0]):
        return consumers[0]
    return s.cache_write(block, 0, "global")


def _vectorise_epilogue(s: Any, epilogue: Any, tile: Tile, unit: VectorUnit) -> None:
    """Vectors that end where the output ends; a law for each lane would make them scalar."""
    n = int(s.get(epilogue).iter_vars[-1].dom.extent)
    lanes = unit.lanes_of(math.gcd(n, tile.lanes))
    if lanes > 1:
        s.vectorize(s.split(s.get_loops(epilogue)[-1], [None, lanes])[-1])


def _weights(s: Any, block: Any, column: int) -> Any:
    """The operand whose columns become vectors, if the other one has none."""
    variable = s.get(block).iter_vars[column]
    with_columns = [region for region in operands(s, block) if uses(region, variable)]
    return with_columns[0] if len(with_columns) == 1 else None


def _varies(s: Any, block: Any, region: Any, k: int) -> bool:
    return uses(region, s.get(block).iter_vars[k])


def _pack(s: Any, block: Any, weights: Any, panel: Any, unit: VectorUnit) -> set[str]:
    """Copies a column panel, so that its reads are contiguous."""
    reads = s.get(block).reads
    index = next(i for i, read in enumerate(reads) if read.source.same_as(weights.source))
    packed = s.cache_read(block, index, "global")
    s.compute_at(packed, panel)
    for producer in s.get_producers(packed):
        if not is_reduction(s, producer):
            s.compute_inline(producer)
    vectorise_last(s, packed, unit)
    return {name_of(s, packed)}
