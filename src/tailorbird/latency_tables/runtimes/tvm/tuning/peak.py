"""Arithmetic limit of a core: multiply-adds per second when nothing else holds it up."""

import time
from typing import Any

import numpy as np
import tvm
from tvm import te, tirx

from tailorbird.latency_tables.runtimes.tvm.schedule.packed_kernels import TILE
from tailorbird.latency_tables.runtimes.tvm.schedule.schedule import schedule_kernel
from tailorbird.latency_tables.runtimes.tvm.target import VectorUnit

_STEPS = 128  # of a sum: inputs, weights and outputs of a tile stay in the first-level cache
_REPEATS = 512  # of the tile, within one call
_SAMPLES = 25


def macs_per_second(target: Any, unit: VectorUnit) -> float:
    """Measures the limit of one core in float32: the best of several register tiles.

    The peak that a data sheet gives from a clock is of no use: the clock varies with what runs.
    """
    vectors = 2 if unit.registers < 32 else 4
    rows = (unit.registers - 2) // vectors - 1
    return max(_rate(target, unit, r, v * unit.lanes) for r, v in ((rows, vectors), (rows, 2)))


def _rate(target: Any, unit: VectorUnit, rows: int, columns: int) -> float:
    function = tvm.compile(tvm.IRModule({"main": _kernel(unit, rows, columns)}), target)["main"]
    rng = np.random.default_rng(0)
    shapes = (rows, _STEPS), (_STEPS, columns), (_REPEATS, rows, columns)
    tensors = [tvm.runtime.tensor(rng.standard_normal(s, dtype=np.float32)) for s in shapes]
    best = float("inf")
    for _ in range(_SAMPLES):
        begin = time.perf_counter()
        function(*tensors)
        best = min(best, time.perf_counter() - begin)
    return _REPEATS * rows * columns * _STEPS / best


def _kernel(unit: VectorUnit, rows: int, columns: int) -> tirx.PrimFunc:
    """The same product again and again; only its results leave the first-level cache."""
    x = te.placeholder((rows, _STEPS), name="x")
    w = te.placeholder((_STEPS, columns), name="w")
    step = te.reduce_axis((0, _STEPS), "k")
    y = te.compute(
        (_REPEATS, rows, columns),
        lambda _, i, j: te.sum(x[i, step] * w[step, j], axis=step),
        name="contraction",
        attrs={TILE: [rows, columns, unit.lanes]},
    )
    s = tvm.s_tir.Schedule(te.create_prim_func([x, w, y]))
    schedule_kernel(s, unit, 1)
    return s.mod["main"]
