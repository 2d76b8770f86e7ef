"""Schedules for CPU kernels that need no tuning: a rule per kind of block.

TVM's default CPU code is scalar, and ranks nothing that anybody would deploy.
"""

from dataclasses import dataclass, field
from typing import Any

import tvm
from tvm import relax, tirx
from tvm.s_tir import dlight
from tvm.s_tir.dlight.base import ScheduleRule
from tvm.s_tir.schedule import Schedule, ScheduleError

from tailorbird.latency_tables.runtimes.tvm.schedule.blocks import (
    blocks,
    computes,
    is_contraction,
    is_reduction,
    name_of,
)
from tailorbird.latency_tables.runtimes.tvm.schedule.contraction import schedule_contraction
from tailorbird.latency_tables.runtimes.tvm.schedule.elementwise import schedule_elementwise
from tailorbird.latency_tables.runtimes.tvm.schedule.legalize import LEGALIZED
from tailorbird.latency_tables.runtimes.tvm.schedule.parallel import sharing
from tailorbird.latency_tables.runtimes.tvm.schedule.plan import PLAN
from tailorbird.latency_tables.runtimes.tvm.schedule.reduction import schedule_reduction
from tailorbird.latency_tables.runtimes.tvm.target import VectorUnit

_ONE_AT_A_TIME = ("cos", "erf", "exp", "log", "log1p", "log2", "pow", "sin", "tan", "tanh")
_COSTLY = ("exp", "erf", "tanh", "if_then_else", "sqrt", "rsqrt", "sigmoid", "reinterpret", "floor")


@dataclass(frozen=True, slots=True)
class Kernels:
    """Names of what a program is made of, after the blocks that were fused.

    Attributes:
        unscheduled: run scalar code, or no rule worked for them.
        tuned: hold a contraction that is scheduled as its plan says.
        static: hold a contraction that is scheduled by the static rule.
    """

    unscheduled: list[str] = field(default_factory=list)
    tuned: list[str] = field(default_factory=list)
    static: list[str] = field(default_factory=list)


def lower(
    program: tvm.IRModule, target: tvm.target.Target, unit: VectorUnit, threads: int
) -> tuple[Any, list[str]]:
    """Fuses and schedules a Relax program.

    Returns:
        The program, and the names of its kernels that run scalar code, or for which no rule worked.
    """
    program, kernels = schedule_kernels(fuse(program, target), target, unit, threads)
    return program, kernels.unscheduled


def fuse(program: tvm.IRModule, target: tvm.target.Target) -> tvm.IRModule:
    """Makes kernels of the operators of a Relax program."""
    passes = relax.transform
    with target:
        return tvm.transform.Sequential(
            [
                passes.FastMathTransform(),
                passes.LegalizeOps(LEGALIZED),
                passes.AnnotateTIROpPattern(),
                passes.FuseOps(),
                passes.FuseTIR(),
            ]
        )(program)


def schedule_kernels(
    program: tvm.IRModule, target: tvm.target.Target, unit: VectorUnit, threads: int
) -> tuple[Any, Kernels]:
    """Schedules every kernel of a program, by its plan where it has one."""
    rule = _StaticRule(unit, threads)
    with target:
        return dlight.ApplyDefaultSchedule(rule)(program), rule.kernels


def schedule_kernel(s: Any, unit: VectorUnit, threads: int) -> bool:
    """Schedules one kernel in place.

    Returns:
        True if its code is vectorised.

    Raises:
        ScheduleError: if no rule works.
    """
    # What became no polynomial is a call into libm for every value.
    vectorised = not any(computes(s, block, *_ONE_AT_A_TIME) for block in blocks(s))
    _inline(s)
    threads = sharing(s, unit, threads)
    handled: set[str] = set()
    for block in blocks(s):
        if is_contraction(s, block):
            names, in_vectors = schedule_contraction(s, block, unit, threads)
            handled |= names
            vectorised &= in_vectors
    for block in blocks(s):
        if name_of(s, block) in handled:
            continue
        if is_reduction(s, block):
            vectorised &= schedule_reduction(s, block, unit, threads)
        else:
            schedule_elementwise(s, block, unit, threads)
    return vectorised


class _StaticRule(ScheduleRule):  # type: ignore[misc]  # tvm is untyped
    def __init__(self, unit: VectorUnit, threads: int) -> None:
        super().__init__()
        self.unit = unit
        self.threads = threads
        self.kernels = Kernels()

    def apply(self, func: Any, target: Any, tunable: bool) -> Any:
        if not isinstance(func, tirx.PrimFunc):
            return None
        schedule = Schedule(tvm.IRModule({"main": func}))
        # Fused kernels have no name yet; their blocks have.
        name = "+".join(name_of(schedule, block) for block in blocks(schedule))
        for block in blocks(schedule):
            if is_contraction(schedule, block):
                planned = PLAN in schedule.get(block).annotations
                (self.kernels.tuned if planned else self.kernels.static).append(name)
        try:
            vectorised = schedule_kernel(schedule, self.unit, self.threads)
        except ScheduleError:
            schedule, vectorised = None, False
        if not vectorised:
            self.kernels.unscheduled.append(name)
        return schedule


def _inline(s: Any) -> None:
    """Inlines cheap blocks where they are read; a contraction reads too often, as does a sum."""
    for block in blocks(s):
        consumers = s.get_consumers(block)
        if is_reduction(s, block) or not consumers:
            continue
        into_sum = any(is_reduction(s, c) for c in consumers)
        if computes(s, block, *_COSTLY) and (len(consumers) > 1 or into_sum):
            continue
        if not any(is_contraction(s, c) for c in consumers):
            s.compute_inline(block)
