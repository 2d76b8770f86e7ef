"""The register tile of a contraction, chosen by a model of the cycles that it costs."""

import math
from dataclasses import dataclass

from tailorbird.latency_tables.tvm.target import VectorUnit

_LATENCY_CYCLES = 4.0  # of a multiply-add, on every CPU of the last ten years
_PER_CYCLE = 2  # multiply-adds, and loads
_PANEL_VALUES = 96  # wider panels leave the first-level cache before they are used again


@dataclass(frozen=True, slots=True)
class Tile:
    """Accumulators that stay in registers: `rows` x `columns` values, `lanes` to a register."""

    rows: int
    columns: int
    lanes: int


def choose_tile(m: int, n: int, unit: VectorUnit, *, exact: bool) -> Tile:
    """The tile that covers an (m, n) output in the fewest modelled cycles.

    One step of the reduction issues rows * vectors multiply-adds and rows + vectors loads, and
    cannot be shorter than the latency of a multiply-add. What a tile covers beyond the edge is
    computed and thrown away; covering it costs as much as the rest.

    Args:
        m: rows of the output, the axis that shares weights.
        n: columns of the output, the contiguous axis.
        unit: vector registers of the target.
        exact: whether the tile must divide m and n, because nothing may be padded.
    """
    lanes = next((v for v in _halvings(unit.lanes) if n % v == 0), 1) if exact else unit.lanes
    free = unit.registers - 2  # a broadcast input, and one to spare
    best, fewest = Tile(1, lanes, lanes), float("inf")
    for vectors in range(1, 9):
        columns = vectors * lanes
        # Beside the accumulators, a row of weights stays in registers.
        for rows in range(1, min(16, m, free // vectors - 1) + 1):
            if exact and (m % rows or n % columns):
                continue
            loads = rows + vectors
            step = max(rows * vectors / _PER_CYCLE, loads / _PER_CYCLE, _LATENCY_CYCLES)
            step += 0.02 * loads + 0.05 * max(0, columns - _PANEL_VALUES) / lanes
            cycles = math.ceil(m / rows) * math.ceil(n / columns) * step
            if cycles < fewest:
                best, fewest = Tile(rows, columns, lanes), cycles
    return best


def _halvings(lanes: int) -> tuple[int, ...]:
    return tuple(v for v in (lanes, lanes // 2, lanes // 4) if v > 1)
