"""Outer loops that threads share, where there is work enough to pay for them."""

import math
from collections.abc import Sequence
from typing import Any

from tailorbird.latency_tables.runtimes.tvm.schedule.blocks import (
    blocks,
    computes,
    extent,
    is_contraction,
    operands,
)
from tailorbird.latency_tables.runtimes.tvm.target import VectorUnit

# Measured on two cores of a Xeon with AVX-512, TVM's thread pool awake. In a network, half of what
# a contraction reads lies in another core's cache: 3x3 convolutions that share 18 µs take longer
# than alone, those that share 60 µs win.
_FORK_JOIN_NS = 1200.0
_HANDOVER_NS = 12000.0
_PRODUCT_NS = 0.25  # of a register of multiply-adds
_WEIGHT_NS = 0.035  # of a byte that the second-level cache does not have
_COPY_NS = 1.7  # of a register that is read, used and written
_FUNCTION_NS = 8.0  # of a register of exponentials, as polynomials

_FUNCTIONS = ("exp", "erf", "tanh", "sigmoid", "reinterpret")
_UNEVEN = 1.05  # of the most loaded thread over the mean: not worth fusing another loop for


def sharing(s: Any, unit: VectorUnit, threads: int) -> int:
    """Number of threads that share a kernel: all, or one if sharing would not pay.

    Args:
        s: schedule of the kernel, before its loops are changed.
        unit: vector registers of the target.
        threads: that there are.
    """
    kernel_blocks = blocks(s)
    least_ns = _HANDOVER_NS if any(is_contraction(s, b) for b in kernel_blocks) else _FORK_JOIN_NS
    saved_ns = sum(_work_ns(s, b, unit) for b in kernel_blocks) * (1 - 1 / threads)
    return threads if saved_ns > least_ns else 1


def parallelise(s: Any, block: Any, loops: Sequence[Any], unit: VectorUnit, threads: int) -> None:
    """Gives each thread a piece of the outermost loops, as few of them as share evenly.

    Nothing happens where waking threads, and waiting for the last, would take longer than they
    save. Comes before a reduction is decomposed: TVM proves less about its halves.

    Args:
        s: schedule of the kernel.
        block: is computed in the loops.
        loops: along which nothing is summed, from the outermost of the kernel inwards.
        unit: vector registers of the target.
        threads: that share.
    """
    nested = _nested(s, loops)
    if threads == 1 or not nested:
        return
    lengths = [math.prod(extent(s, loop) for loop in nested[: k + 1]) for k in range(len(nested))]
    uneven = [threads * _largest_fraction(length, threads) for length in lengths]
    k = next((k for k, u in enumerate(uneven) if u <= _UNEVEN), uneven.index(min(uneven)))
    if _work_ns(s, block, unit) * (1 - uneven[k] / threads) <= _FORK_JOIN_NS:
        return
    s.parallel(s.fuse(*nested[: k + 1]) if k else nested[0])


def _nested(s: Any, loops: Sequence[Any]) -> list[Any]:
    """The first loops, up to one that holds more than the next."""
    nested = []
    for loop in loops:
        nested.append(loop)
        if type(s.get(loop).body).__name__ != "For":
            break
    return nested


def _largest_fraction(length: int, threads: int) -> float:
    """Fraction of a loop's iterations that the most loaded thread takes."""
    return math.ceil(length / threads) / length


def _work_ns(s: Any, block: Any, unit: VectorUnit) -> float:
    """Nanoseconds that a block would take on one thread."""
    n_registers = math.prod(int(v.dom.extent) for v in s.get(block).iter_vars) / unit.lanes
    if is_contraction(s, block):
        n_values = sum(math.prod(map(int, read.source.shape)) for read in operands(s, block))
        return max(_PRODUCT_NS * n_registers, _WEIGHT_NS * 4 * n_values)
    return n_registers * (_FUNCTION_NS if computes(s, block, *_FUNCTIONS) else _COPY_NS)
