"""Schedule of contractions: register tiles of outputs, and what follows on a finished tile."""

import math
from dataclasses import dataclass
from typing import Any, Self

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


@dataclass(frozen=True, slots=True)
class _Axes:
    """Axes of a contraction, each as the number of its variable in the block.

    Attributes:
        extents: of all variables of the block.
        column: contiguous axis of the output, along which vectors run.
        row: last axis of the output before it that is longer than 1; None if there is none.
        others: further axes of the output.
        reduced: axes that are summed over.
    """

    extents: list[int]
    column: int
    row: int | None
    others: list[int]
    reduced: list[int]

    @classmethod
    def of(cls, s: Any, block: Any) -> Self:
        """Returns the axes of a block."""
        variables = list(s.get(block).iter_vars)
        extents = [int(v.dom.extent) for v in variables]
        *leading, column = [k for k, v in enumerate(variables) if not reduces(v)]
        row = next((k for k in reversed(leading) if extents[k] > 1), None)
        others = [k for k in leading if k != row]
        return cls(extents, column, row, others, [k for k, v in enumerate(variables) if reduces(v)])


@dataclass(frozen=True, slots=True)
class _Nest:
    """Loops of a tiled contraction; all but `batch` from the outermost inwards.

    Attributes:
        batch: loops of `around` along which the weights vary.
        around: loops around the panels of weights.
        panel: loop over panels, each as many columns wide as the tile.
        blocked: loop over blocks of the sum, if it is blocked.
        inside_panel: loops that read the same panel again.
        reduced: loops over the steps of the sum, or of a block of it.
        unrolled: loop over the steps that are written out, if any are.
        rows: loop over the rows of the tile, if the output has rows.
        vector: loop over the registers of one row of the tile.
        lane: loop over the values of one register.
    """

    batch: list[Any]
    around: list[Any]
    panel: Any
    blocked: list[Any]
    inside_panel: list[Any]
    reduced: list[Any]
    unrolled: list[Any]
    rows: list[Any]
    vector: Any
    lane: Any

    def n_uses(self, s: Any) -> int:
        """Number of times that a panel of weights is read."""
        sharing = (*self.around[len(self.batch) :], *self.inside_panel)
        return math.prod(extent(s, loop) for loop in sharing)


def schedule_contraction(
    s: Any, block: Any, unit: VectorUnit, threads: int
) -> tuple[set[str], bool]:
    """Tiles one contraction, and shares its tiles among threads.

    Returns:
        Names of the blocks that need no further scheduling, and whether the code is vectorised: a
        width that no register divides is not, where it cannot be padded.
    """
    axes = _Axes.of(s, block)
    is_packed = TILE in s.get(block).annotations
    plan = _plan(s, block, unit)
    if not is_packed and is_plain(s, block):
        _pad(s, block, axes, plan.tile)
    epilogue = _epilogue(s, block)
    weights = _weights(s, block, axes.column)
    nest = _tile(s, block, axes, weights, plan)
    handled = {name_of(s, epilogue)}
    if not is_packed and weights is not None and nest.n_uses(s) > 1:
        handled |= _pack(s, block, weights, nest, plan, unit)
    if not _place_epilogue(s, epilogue, nest, plan, unit):
        handled.remove(name_of(s, epilogue))
    if plan.padding != "first" and nest.around:
        at = nest.around[0 if plan.padding == "outermost" else -1]
        handled |= _place_inputs(s, block, at, handled, unit)
    s.vectorize(nest.lane)
    for loop in (*nest.unrolled, *nest.rows, nest.vector):
        s.unroll(loop)
    shared = [] if nest.blocked else nest.inside_panel
    parallelise(s, block, [*nest.around, nest.panel, *shared], unit, threads)
    first = (nest.blocked or nest.reduced or nest.unrolled)[0]
    initial = s.decompose_reduction(block, first)
    return handled | {name_of(s, initial), name_of(s, block)}, plan.tile.lanes > 1


def tuning_space(s: Any, block: Any, tiles: tuple[Tile, ...]) -> TuningSpace:
    """The plans of a contraction whose kernel is not scheduled yet.

    Args:
        s: schedule of the kernel.
        block: the contraction.
        tiles: to choose from, the static rule's first.
    """
    axes = _Axes.of(s, block)
    weights = _weights(s, block, axes.column)
    shared = _sharing(s, block, weights, axes)
    walk = [axes.extents[k] for k in (*shared, *([] if axes.row is None else [axes.row]))]
    n_steps = axes.extents[axes.reduced[-1]]
    n_uses = math.prod(walk)
    is_packed = TILE in s.get(block).annotations
    pads = bool(s.get_producers(block)) or (not is_packed and is_plain(s, block))
    return TuningSpace(
        n_steps=n_steps,
        has_batch=len(shared) < len(axes.others),
        tile=tiles,
        outside=(0, *(i + 1 for i, length in enumerate(walk) if length > 1)),
        k_block=k_blocks(n_steps) if n_uses > 1 else (0,),
        unroll=unrolled(n_steps),
        padding=PADDING if pads else PADDING[:1],
        epilogue=EPILOGUE,
        packing=PACKING if weights is not None and n_uses > 1 and not is_packed else PACKING[:1],
    )


def rows_and_columns(s: Any, block: Any) -> tuple[int, int]:
    """Rows and columns of each matrix that a contraction makes."""
    spatial = [int(v.dom.extent) for v in s.get(block).iter_vars if not reduces(v)]
    return next((n for n in reversed(spatial[:-1]) if n > 1), 1), spatial[-1]


def _plan(s: Any, block: Any, unit: VectorUnit) -> Plan:
    """The plan that a block is annotated with, or the static rule's."""
    annotations = s.get(block).annotations
    if PLAN in annotations:
        return Plan.parse(str(annotations[PLAN]))
    if TILE in annotations:
        return Plan(Tile(*(int(v) for v in annotations[TILE])))
    choose = choose_tile if is_plain(s, block) else choose_exact_tile
    return Plan(choose(*rows_and_columns(s, block), unit))


def _tile(s: Any, block: Any, axes: _Axes, weights: Any, plan: Plan) -> _Nest:
    """Splits the loops of a contraction into those of its plan, and puts them in order."""
    loops, tile = s.get_loops(block), plan.tile
    reduced = [loops[k] for k in axes.reduced]
    panel, vector, lane = s.split(
        loops[axes.column], [None, tile.columns // tile.lanes, tile.lanes]
    )
    outer_rows, rows = [], []
    if axes.row is not None:
        outer_row, row = s.split(loops[axes.row], [None, tile.rows])
        outer_rows, rows = [outer_row], [row]
    sharing = _sharing(s, block, weights, axes)
    batch = [loops[k] for k in axes.others if k not in sharing]
    walk = [*(loops[k] for k in sharing), *outer_rows]
    around, inside_panel = [*batch, *walk[: plan.outside]], walk[plan.outside :]
    blocked, reduced, unrolled = _split_reduction(s, reduced, plan)
    s.reorder(
        *(*around, panel, *blocked, *inside_panel),
        *(*reduced, *unrolled, *rows, vector, lane),
    )
    return _Nest(batch, around, panel, blocked, inside_panel, reduced, unrolled, rows, vector, lane)


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
    """True if every operand is indexed by single variables, so that it can be padded."""
    return all(
        type(axis.min).__name__ in ("Var", "IntImm")
        for region in operands(s, block)
        for axis in region.region
    )


def _pad(s: Any, block: Any, axes: _Axes, tile: Tile) -> None:
    """Pads rows and columns to whole tiles."""
    multiples = {axes.column: tile.columns} | ({} if axes.row is None else {axes.row: tile.rows})
    if any(axes.extents[k] % multiple for k, multiple in multiples.items()):
        s.pad_einsum(block, [multiples.get(k, 1) for k in range(len(axes.extents))])


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


def _place_epilogue(s: Any, epilogue: Any, nest: _Nest, plan: Plan, unit: VectorUnit) -> bool:
    """Computes the epilogue where the plan says; false if it stays a nest of its own."""
    if plan.epilogue == "end":
        if not nest.batch:
            return False
        s.reverse_compute_at(epilogue, nest.batch[-1])
        vectorise_last(s, epilogue, unit)
        return True
    on_tile = plan.epilogue == "tile" and not nest.blocked and nest.inside_panel
    s.reverse_compute_at(epilogue, nest.inside_panel[-1] if on_tile else nest.panel)
    _vectorise_epilogue(s, epilogue, plan.tile, unit)
    return True


def _vectorise_epilogue(s: Any, epilogue: Any, tile: Tile, unit: VectorUnit) -> None:
    """Vectorises an epilogue up to the end of the output: a condition per lane would be scalar."""
    n = int(s.get(epilogue).iter_vars[-1].dom.extent)
    lanes = unit.lanes_of(math.gcd(n, tile.lanes))
    if lanes > 1:
        s.vectorize(s.split(s.get_loops(epilogue)[-1], [None, lanes])[-1])


def _weights(s: Any, block: Any, column: int) -> Any:
    """The operand whose columns become vectors; None if both have columns, or neither has."""
    variable = s.get(block).iter_vars[column]
    with_columns = [region for region in operands(s, block) if uses(region, variable)]
    return with_columns[0] if len(with_columns) == 1 else None


def _sharing(s: Any, block: Any, weights: Any, axes: _Axes) -> list[int]:
    """Axes beside row and column along which the weights stay the same."""
    variables = s.get(block).iter_vars
    return [k for k in axes.others if weights is None or not uses(weights, variables[k])]


def _pack(
    s: Any,
    block: Any,
    weights: Any,
    nest: _Nest,
    plan: Plan,
    unit: VectorUnit,
) -> set[str]:
    """Copies a column panel, or all of a matrix, so that its reads are contiguous."""
    reads = s.get(block).reads
    index = next(i for i, read in enumerate(reads) if read.source.same_as(weights.source))
    packed = s.cache_read(block, index, "global")
    at_end = plan.packing == "end"
    if not at_end:
        s.compute_at(packed, nest.panel)
    elif nest.batch:
        s.compute_at(packed, nest.batch[-1])
    for producer in s.get_producers(packed):
        if not is_reduction(s, producer):
            s.compute_inline(producer)
    if plan.packing == "vectors":
        vectorise_last(s, packed, unit)
    return {name_of(s, packed)}
