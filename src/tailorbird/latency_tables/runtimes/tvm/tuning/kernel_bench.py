"""Bench for one kernel: under a plan, and beside it under the static rule, in this process."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

import numpy as np
import tvm
from tvm.ir import load_json
from tvm.s_tir.meta_schedule.arg_info import ArgInfo
from tvm.s_tir.meta_schedule.database import JSONDatabase, TuningRecord
from tvm.s_tir.schedule import Schedule

from tailorbird.latency_tables.runtimes.timing_protocol import LARGEST_GAP
from tailorbird.latency_tables.runtimes.tvm.compile.planned import annotate, contraction
from tailorbird.latency_tables.runtimes.tvm.schedule.blocks import operands
from tailorbird.latency_tables.runtimes.tvm.schedule.packed_kernels import TILE, pack
from tailorbird.latency_tables.runtimes.tvm.schedule.plan import PLAN, Plan
from tailorbird.latency_tables.runtimes.tvm.schedule.schedule import schedule_kernel
from tailorbird.latency_tables.runtimes.tvm.schedule.tile import Tile
from tailorbird.latency_tables.runtimes.tvm.target import VectorUnit
from tailorbird.latency_tables.runtimes.tvm.tuning.database import TaskFolder

_COLD_BYTES = 1 << 26
"""Size of all copies of weights that take turns: more than the last cache holds. In a network
weights come from memory, and a plan that is quick with weights from that cache may be slow with
those."""

_MOST_COPIES = 256

Call = Callable[[], object]
Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class _Place:
    """A parameter of a kernel; plans share tensors of equal ones."""

    number: int
    shape: tuple[int, ...]
    is_weights: bool


@dataclass(slots=True)
class KernelBench:
    """One task, its static kernel and the one that is compared with it.

    Attributes:
        folder: of the task, whose lock the caller holds if anything is kept.
        target: TVM's.
        unit: vector registers of the target.
        threads: that share loops.
        plan: that was built last.
        static: calls of the static kernel, each with its copy of the weights.
        planned: calls of the kernel under that plan, likewise.
    """

    folder: TaskFolder
    target: Any
    unit: VectorUnit
    threads: int
    names: dict[Tile, str] = field(init=False)
    database: Any = field(init=False)
    tensors: dict[_Place, list[Any]] = field(default_factory=dict, init=False)
    static_function: Any = field(init=False)
    function: Any = field(init=False)
    static: Sequence[Call] = field(init=False)
    planned: Sequence[Call] = field(init=False)
    schedule: Any = field(default=None, init=False)
    plan: Plan = field(init=False)
    held: list[Any] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        space = self.folder.space
        self.names = dict(zip(space.tile, self.folder.task["kernels"], strict=True))
        self.database = JSONDatabase(work_dir=str(self.folder.path))
        self.build(space.static)
        self.static_function, self.static = self.function, self.planned

    def tried(self) -> list[tuple[dict[str, Any], float]]:
        """Reads the plans that were timed, with their seconds."""
        plans = []
        for record in self.database.get_all_tuning_records():
            plan = _plan_of(record)
            if plan is not None:
                plans.append((plan.fields, float(record.run_secs[0])))
        return plans

    def build(self, plan: Plan) -> None:
        """Compiles the kernel under a plan; the static one stays."""
        self.plan = plan
        self.schedule = s = Schedule(_module(self._kernel(plan.tile)))
        annotate(s, plan)
        if not schedule_kernel(s, self.unit, self.threads):
            raise RuntimeError("its code is scalar")
        self.function = tvm.compile(s.mod, self.target)["main"]
        self.planned = self._calls(self.function, plan)
        used = {*self._places(self.folder.space.static), *self._places(plan)}
        self.tensors = {place: self.tensors[place] for place in used}

    def compare(self) -> float:
        """Largest difference of outputs from the static kernel's, relative to the largest."""
        output = self._arguments(self.plan)[0][-1]
        self.static[0]()
        expected = output.numpy().copy()
        output.copyfrom(np.full_like(expected, np.nan))
        self.planned[0]()
        error = np.abs(output.numpy() - expected).max() / max(np.abs(expected).max(), 1e-30)
        return float(error)

    def move(self) -> None:
        """Puts inputs, weights and outputs somewhere else, at a random distance.

        Where they lie decides which of them compete for the same lines of a cache: a plan that
        wins in one place may only have been lucky.
        """
        gap = np.empty(np.random.default_rng().integers(1, LARGEST_GAP), dtype=np.uint8)
        self.held += [gap, self.tensors]  # so that the same places are not free again
        self.tensors = {}
        self.static = self._calls(self.static_function, self.folder.space.static)
        self.planned = self._calls(self.function, self.plan)

    def time(
        self, n_rounds: int, n_samples: int, sample_s: float, give_up: float
    ) -> list[list[float]]:
        """Times both kernels: seconds of one run, static and planned, for each round.

        Both take turns, each first in every other turn, and the best of their samples counts:
        whatever else runs on this machine makes samples longer, never shorter.
        """
        kernels = cycle(self.static), cycle(self.planned)
        clock = clock_of(self.threads)
        for kernel in kernels:
            sample(kernel, sample_s, clock)
        rounds: list[list[float]] = []
        for _ in range(n_rounds):
            best = [math.inf, math.inf]
            for number in range(n_samples):
                for which in (0, 1) if number % 2 == 0 else (1, 0):
                    best[which] = min(best[which], sample(kernels[which], sample_s, clock))
            rounds.append(best)
            if best[1] > give_up * best[0]:
                break
        return rounds

    def keep(self, seconds: float) -> None:
        """Adds the plan that was built last to the database."""
        module = _module(self._kernel(self.plan.tile))
        workload = self.database.commit_workload(module)
        record = TuningRecord(
            self.schedule.trace,
            workload,
            [seconds],
            self.target,
            ArgInfo.from_prim_func(module["main"]),
        )
        self.database.commit_tuning_record(record)

    def _kernel(self, tile: Tile) -> Any:
        """Reads a kernel anew: what a schedule annotates shows in the kernel it was made of."""
        functions = load_json(self.folder.task["module"]).functions
        return next(f for v, f in functions.items() if v.name_hint == self.names[tile])

    def _calls(self, function: Any, plan: Plan) -> list[Call]:
        return [_call(function, arguments) for arguments in self._arguments(plan)]

    def _arguments(self, plan: Plan) -> list[list[Any]]:
        """Lists of arguments that differ by their copy of the weights; the output comes last.

        Kernels share all of them but the weights: where buffers lie decides which of them compete
        for the same lines of a cache. Whatever the tile, weights are the same numbers.
        """
        places = self._places(plan)
        for place in places:
            if place not in self.tensors:
                self.tensors[place] = self._filled(place)
        arguments = [self.tensors[place] for place in places]
        n_copies = max(map(len, arguments))
        return [[copies[i % len(copies)] for copies in arguments] for i in range(n_copies)]

    def _places(self, plan: Plan) -> list[_Place]:
        kernel = self._kernel(plan.tile)
        which = _weights_of(kernel)
        return [
            _Place(number, tuple(int(v) for v in info.shape), number == which)
            for number, info in enumerate(ArgInfo.from_prim_func(kernel))
        ]

    def _filled(self, place: _Place) -> list[Any]:
        """One tensor of random numbers, or enough copies of weights to be cold."""
        rng = np.random.default_rng(place.number)
        if not place.is_weights:
            return [tvm.runtime.tensor(rng.standard_normal(place.shape, dtype=np.float32))]
        weights = _packed_weights(place.shape, self.folder.task["columns"], rng)
        n_copies = min(math.ceil(_COLD_BYTES / weights.nbytes), _MOST_COPIES)
        return [tvm.runtime.tensor(weights) for _ in range(n_copies)]


def _weights_of(kernel: Any) -> int | None:
    """Number of the parameter that holds weights packed at compile time; None if none does."""
    s = Schedule(_module(kernel))
    block = contraction(s)
    if TILE not in s.get(block).annotations:
        return None
    weights = operands(s, block)[-1].source
    return next(i for i, parameter in enumerate(kernel.params) if weights.same_as(parameter))


def _packed_weights(shape: tuple[int, ...], columns: int, rng: np.random.Generator) -> np.ndarray:
    """Random weights of so many columns, in panels of this shape or in columns padded to it."""
    n_panels, *leading, width = shape
    if width >= columns:  # all in one panel, or a depthwise kernel
        weights = np.zeros(shape, dtype=np.float32)
        weights[..., :columns] = rng.standard_normal((*shape[:-1], columns), dtype=np.float32)
        return weights
    assert n_panels * width >= columns
    return pack(rng.standard_normal((*leading, columns), dtype=np.float32), width)


def _module(kernel: Any) -> tvm.IRModule:
    return tvm.IRModule({"main": kernel.with_attr("global_symbol", "main")})


def _call(function: Any, arguments: Sequence[Any]) -> Call:
    return lambda: function(*arguments)


def sample(turns: Iterator[Call], least_s: float, clock: Clock) -> float:
    """Seconds of one run: the mean of runs that take at least `least_s` together."""
    n_calls, elapsed_s, batch = 0, 0.0, 1
    while elapsed_s < least_s:
        calls = [next(turns) for _ in range(batch)]
        begin = clock()
        for call in calls:
            call()
        elapsed_s += clock() - begin
        n_calls += batch
        batch = max(1, math.ceil((least_s - elapsed_s) * n_calls / max(elapsed_s, 1e-9)))
    return elapsed_s / n_calls


def clock_of(threads: int) -> Clock:
    """Clock for a kernel's seconds, without those in which something else had its core.

    Only the core's own clock tells them apart, which does not see what other threads do.
    """
    return time.thread_time if threads == 1 else time.perf_counter


def _plan_of(record: Any) -> Plan | None:
    """The plan that a record's schedule is annotated with; None for a schedule of others."""
    for instruction in record.trace.insts:
        if str(instruction.kind.name) == "Annotate" and str(instruction.attrs[0]) == PLAN:
            return Plan.parse(str(instruction.inputs[1]))
    return None
