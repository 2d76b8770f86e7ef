"""Schedules for CPU kernels that need no tuning: a rule per kind of block.

TVM's default CPU code is scalar. Here contractions (convolutions and dense layers, channels-last)
keep a register tile of outputs, and everything elementwise is vectorised along its last axis.
Reductions without a product, such as means, are left to LLVM.
"""

import math
from typing import Any

import tvm
from tvm import relax, tirx
from tvm.s_tir import dlight
from tvm.s_tir.dlight.analysis.common_analysis import collect_vars_used_in_prim_expr
from tvm.s_tir.dlight.base import ScheduleRule
from tvm.s_tir.schedule import Schedule, ScheduleError

from tailorbird.latency_tables.tvm.target import VectorUnit
from tailorbird.latency_tables.tvm.tile import choose_tile

_LONGEST_SCALAR_TAIL = 64


def lower(
    program: tvm.IRModule, target: tvm.target.Target, unit: VectorUnit
) -> tuple[Any, list[str]]:
    """Fuses and schedules a Relax program.

    Returns:
        The program, and the names of its kernels for which no rule worked.
    """
    passes = relax.transform
    rule = _StaticRule(unit)
    with target:
        program = tvm.transform.Sequential(
            [
                passes.LegalizeOps(),
                passes.AnnotateTIROpPattern(),
                passes.FoldConstant(),
                passes.FuseOps(),
                passes.FuseTIR(),
            ]
        )(program)
        program = dlight.ApplyDefaultSchedule(rule)(program)
    return program, rule.unscheduled


class _StaticRule(ScheduleRule):  # type: ignore[misc]  # tvm is untyped
    def __init__(self, unit: VectorUnit) -> None:
        super().__init__()
        self.unit = unit
        self.unscheduled: list[str] = []

    def apply(self, func: Any, target: Any, tunable: bool) -> Any:
        if not isinstance(func, tirx.PrimFunc):
            return None
        schedule = Schedule(tvm.IRModule({"main": func}))
        try:
            self._schedule(schedule)
        except ScheduleError:
            self.unscheduled.append(str(func.attrs["global_symbol"]))
            return None
        return schedule

    def _schedule(self, s: Any) -> None:
        for block in _blocks(s):
            if not _is_reduction(s, block) and _is_cheap_producer(s, block):
                s.compute_inline(block)
        done = {
            _name(s, b): _contract(s, b, self.unit) for b in _blocks(s) if _is_contraction(s, b)
        }
        handled = set(done).union(*done.values()) if done else set()
        for block in _blocks(s):
            if _name(s, block) not in handled and not _is_reduction(s, block):
                _vectorise_last(s, block, self.unit)


def _blocks(s: Any) -> list[Any]:
    return list(s.get_child_blocks(s.get_sblock("root")))


def _name(s: Any, block: Any) -> str:
    return str(s.get(block).name_hint)


def _extent(s: Any, loop: Any) -> int:
    return int(s.get(loop).extent)


def _reduces(iter_var: Any) -> bool:
    return bool(iter_var.iter_type == tirx.IterVar.CommReduce)


def _is_reduction(s: Any, block: Any) -> bool:
    return any(_reduces(v) for v in s.get(block).iter_vars)


def _uses(region: Any, iter_var: Any) -> bool:
    return any(
        used.same_as(iter_var.var)
        for axis in region.region
        for used in collect_vars_used_in_prim_expr(axis.min)
    )


def _operands(s: Any, block: Any) -> list[Any]:
    realised = s.get(block)
    written = {region.source for region in realised.writes}
    return [region for region in realised.reads if region.source not in written]


def _is_contraction(s: Any, block: Any) -> bool:
    reduced = [v for v in s.get(block).iter_vars if _reduces(v)]
    operands = _operands(s, block)
    return (
        bool(reduced)
        and len(operands) == 2
        and all(any(_uses(region, v) for v in reduced) for region in operands)
    )


def _is_cheap_producer(s: Any, block: Any) -> bool:
    """Elementwise work that may be repeated where it is read; a contraction reads too often."""
    consumers = s.get_consumers(block)
    return bool(consumers) and not any(_is_reduction(s, c) for c in consumers)


def _vectorise_last(s: Any, block: Any, unit: VectorUnit) -> None:
    loop = s.get_loops(block)[-1]
    extent = _extent(s, loop)
    lanes = next((v for v in (unit.lanes, unit.lanes // 2, unit.lanes // 4) if extent % v == 0), 0)
    if lanes > 1 and extent > lanes:
        loop = s.split(loop, [None, lanes])[-1]
    elif lanes <= 1 and not 1 < extent <= _LONGEST_SCALAR_TAIL:
        return
    s.vectorize(loop)


def _contract(s: Any, block: Any, unit: VectorUnit) -> set[str]:
    """Tiles one contraction and computes what follows it on the finished tile.

    Returns:
        Names of the blocks that need no further scheduling.
    """
    variables = list(s.get(block).iter_vars)
    spatial = [k for k, v in enumerate(variables) if not _reduces(v)]
    column = spatial[-1]
    extents = [int(v.dom.extent) for v in variables]
    row = next((k for k in reversed(spatial[:-1]) if extents[k] > 1), None)
    tile = choose_tile(extents[row] if row is not None else 1, extents[column], unit)

    consumers = s.get_consumers(block)
    if len(consumers) == 1 and not _is_reduction(s, consumers[0]):
        epilogue = consumers[0]
    else:
        epilogue = s.cache_write(block, 0, "global")

    loops = s.get_loops(block)
    reduced = [loops[k] for k, v in enumerate(variables) if _reduces(v)]
    outer = [loops[k] for k in spatial[:-1] if k != row]
    panel, inner = s.split(loops[column], [None, tile.columns])
    vector, lane = s.split(inner, [None, tile.lanes])
    row_outer, row_inner = (
        s.split(loops[row], [None, tile.rows]) if row is not None else (None, None)
    )
    rows_outside = [row_outer] if row_outer is not None else []
    rows_inside = [row_inner] if row_inner is not None else []
    s.reorder(panel, *outer, *rows_outside, *reduced, *rows_inside, vector, lane)

    handled = {_name(s, block), _name(s, epilogue)}
    n_uses = math.prod(extents[k] for k in spatial[:-1]) // tile.rows
    weights = next(
        (i for i, r in enumerate(_operands(s, block)) if _uses(r, s.get(block).iter_vars[column])),
        None,
    )
    if extents[column] > tile.columns and n_uses > 1 and weights is not None:
        handled.add(_pack(s, block, weights, panel, unit))

    s.reverse_compute_at(epilogue, (rows_outside or outer or [panel])[-1])
    _vectorise_last(s, epilogue, unit)
    s.vectorize(lane)
    for loop in (*rows_inside, vector):
        s.unroll(loop)
    s.decompose_reduction(block, reduced[0])
    return handled


def _pack(s: Any, block: Any, operand: int, panel: Any, unit: VectorUnit) -> str:
    """Copies a column panel of the weights, so that its reads are contiguous."""
    source = _operands(s, block)[operand].source
    index = next(i for i, r in enumerate(s.get(block).reads) if r.source.same_as(source))
    packed = s.cache_read(block, index, "global")
    s.compute_at(packed, panel)
    _vectorise_last(s, packed, unit)
    return _name(s, packed)
