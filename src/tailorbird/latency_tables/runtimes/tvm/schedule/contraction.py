"""Contractions: a register tile of outputs, and what follows computed on the finished tile."""

import math
from typing import Any

from tailorbird.latency_tables.runtimes.tvm.schedule.blocks import (
    extent,
    is_reduction,
    name_of,
    operands,
    reduces,
    uses,
)
from tailorbird.latency_tables.runtimes.tvm.schedule.elementwise import vectorise_last
from tailorbird.latency_tables.runtimes.tvm.schedule.packed_kernels import TILE
from tailorbird.latency_tables.runtimes.tvm.schedule.parallel import parallelise
from tailorbird.latency_tables.runtimes.tvm.schedule.plan import (
    EPILOGUE,
    PACKING,
    PADDING,
    PLAN,
    Plan,
)
from tailorbird.latency_tables.runtimes.tvm.schedule.plan_space import (
    TuningSpace,
    k_blocks,
    unrolled,
)
from tailorbird.latency_tables.runtimes.tvm.schedule.tile import (
    Tile,
    choose_exact_tile,
    choose_tile,
)
from tailorbird.latency_tables.runtimes.tvm.target import VectorUnit


def schedule_contraction(
    s: Any, block: Any, unit: VectorUnit, threads: int
) -> tuple[set[str], bool]:
    """Tiles one contraction, and shares its tiles among threads.

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
    plan = _plan(s, block, unit, extents[row] if row is not None else 1, extents[column])
    tile = plan.tile
    if not packed and is_plain(s, block):
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
    walk = [*shared, *rows_outside]
    around, inside_panel = [*batch, *walk[: plan.outside]], walk[plan.outside :]
    blocked, reduced, unrolled = _split_reduction(s, reduced, plan)
    s.reorder(
        *(*around, panel, *blocked, *inside_panel),
        *(*reduced, *unrolled, *rows_inside, vector, lane),
    )

    handled = {name_of(s, epilogue)}
    n_uses = math.prod(extent(s, loop) for loop in walk)
    if not packed and weights is not None and n_uses > 1:
        handled |= _pack(s, block, weights, panel, batch, plan, unit)
    if plan.epilogue == "end" and not batch:
        handled.remove(name_of(s, epilogue))  # a nest of its own
    elif plan.epilogue == "end":
        s.reverse_compute_at(epilogue, batch[-1])
        vectorise_last(s, epilogue, unit)
    else:
        on_tile = plan.epilogue == "tile" and not blocked
        s.reverse_compute_at(epilogue, inside_panel[-1] if on_tile and inside_panel else panel)
        _vectorise_epilogue(s, epilogue, tile, unit)
    if plan.padding != "first" and around:
        at = around[0 if plan.padding == "outermost" else -1]
        handled |= _place_inputs(s, block, at, handled, unit)
    s.vectorize(lane)
    for loop in (*unrolled, *rows_inside, vector):
        s.unroll(loop)
    parallelise(s, block, [*around, panel, *([] if blocked else inside_panel)], unit, threads)
    initial = s.decompose_reduction(block, (blocked or reduced or unrolled)[0])
    return handled | {name_of(s, initial), name_of(s, block)}, tile.lanes > 1


def tuning_space(s: Any, block: Any, unit: VectorUnit, tiles: tuple[Tile, ...]) -> TuningSpace:
    """The plans of a contraction whose kernel is not scheduled yet.

    Args:
        s: schedule of the kernel.
        block: the contraction.
        unit: vector registers of the target.
        tiles: to choose from, the static rule's first.
    """
    variables = list(s.get(block).iter_vars)
    spatial = [k for k, v in enumerate(variables) if not reduces(v)]
    extents = [int(v.dom.extent) for v in variables]
    row = next((k for k in reversed(spatial[:-1]) if extents[k] > 1), None)
    others = [k for k in spatial[:-1] if k != row]
    weights = _weights(s, block, spatial[-1])
    shared = [k for k in others if weights is None or not _varies(s, block, weights, k)]
    walk = [*shared, *([row] if row is not None else [])]
    n_steps = next(extents[k] for k in reversed(range(len(variables))) if reduces(variables[k]))
    n_uses = math.prod(extents[k] for k in walk)
    is_packed = TILE in s.get(block).annotations
    pads = bool(s.get_producers(block)) or (not is_packed and is_plain(s, block))
    return TuningSpace(
        n_steps=n_steps,
        has_batch=len(shared) < len(others),
        tile=tiles,
        outside=(0, *(i + 1 for i, k in enumerate(walk) if extents[k] > 1)),
        k_block=k_blocks(n_steps) if n_uses > 1 else (0,),
        unroll=unrolled(n_steps),
        padding=PADDING if pads else PADDING[:1],
        epilogue=EPILOGUE,
        packing=PACKING if weights is not None and n_uses > 1 and not is_packed else PACKING[:1],
    )


def rows_and_columns(s: Any, block: Any) -> tuple[int, int]:
    """Size of each matrix that a contraction makes."""
    spatial = [int(v.dom.extent) for v in s.get(block).iter_vars if not reduces(v)]
    return next((n for n in reversed(spatial[:-1]) if n > 1), 1), spatial[-1]


def _plan(s: Any, block: Any, unit: VectorUnit, m: int, n: int) -> Plan:
    """The plan that a block is annotated with, or the static rule's."""
    annotations = s.get(block).annotations
    if PLAN in annotations:
        return Plan.parse(str(annotations[PLAN]))
    if TILE in annotations:
        return Plan(Tile(*(int(v) for v in annotations[TILE])))
    choose = choose_tile if is_plain(s, block) else choose_exact_tile
    return Plan(choose(m, n, unit))


def _split_reduction(
    s: Any, reduced: list[Any], plan: Plan
) -> tuple[list[Any], list[Any], list[Any]]:
    """Loops over blocks of a sum, over the steps of a block, and the unrolled ones."""
    blocked, unrolled = [], []
    *outer, last = reduced
    if plan.k_block:
        block, last = s.split(last, [None, plan.k_block])
        blocked = [block]
    if plan.unroll > 1:
        last, step = s.split(last, [None, plan.unroll])
        unrolled = [step]
    return blocked, [*outer, last], unrolled


def _place_inputs(s: Any, block: Any, loop: Any, handled: set[str], unit: VectorUnit) -> set[str]:
    """Writes padded inputs inside a loop, where they are read next."""
    placed = set()
    for producer in s.get_producers(block):
        if name_of(s, producer) not in handled and not is_reduction(s, producer):
            s.compute_at(producer, loop)
            vectorise_last(s, producer, unit)
            placed.add(name_of(s, producer))
    return placed


def is_plain(s: Any, block: Any) -> bool:
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


def _pack(
    s: Any,
    block: Any,
    weights: Any,
    panel: Any,
    batch: list[Any],
    plan: Plan,
    unit: VectorUnit,
) -> set[str]:
    """Copies a column panel, or all of a matrix, so that its reads are contiguous."""
    reads = s.get(block).reads
    index = next(i for i, read in enumerate(reads) if read.source.same_as(weights.source))
    packed = s.cache_read(block, index, "global")
    at_end = plan.packing == "end"
    if not at_end:
        s.compute_at(packed, panel)
    elif batch:
        s.compute_at(packed, batch[-1])
    for producer in s.get_producers(packed):
        if not is_reduction(s, producer):
            s.compute_inline(producer)
    if plan.packing == "vectors":
        vectorise_last(s, packed, unit)
    return {name_of(s, packed)}
