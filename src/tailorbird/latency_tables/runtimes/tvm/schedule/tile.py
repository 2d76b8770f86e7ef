"""The register tile of a contraction, chosen by a model of the cycles that it costs."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from tailorbird.latency_tables.runtimes.tvm.target import VectorUnit

_LATENCY_CYCLES = 4.0  # of a multiply-add, on every CPU of the last ten years
_PER_CYCLE = 2  # multiply-adds, and loads
_MOST_ROWS = 16
_PANEL_VALUES = 96  # wider panels leave the first-level cache before they are used again


@dataclass(frozen=True, slots=True)
class Tile:
    """Accumulators that stay in registers: `rows` x `columns` values, `lanes` to a register."""

    rows: int
    columns: int
    lanes: int


def choose_tile(m: int, n: int, unit: VectorUnit) -> Tile:
    """The tile that covers an (m, n) output in the fewest modelled cycles.

    What a tile covers beyond the edge is computed and thrown away, at the price of the rest.

    Args:
        m: rows of the output, the axis that shares weights.
        n: columns of the output, the contiguous axis.
        unit: vector registers of the target.
    """
    return min(_tiles(m, unit.lanes, unit), key=lambda tile: _cycles(tile, m, n))


def best_tiles(m: int, n: int, unit: VectorUnit, count: int) -> list[Tile]:
    """The tiles of the fewest modelled cycles, best first: `choose_tile`'s, and then others.

    Where no whole register divides n, narrower vectors that do are among them.
    """
    widths = [unit.lanes] if unit.lanes_of(n) in (1, unit.lanes) else [unit.lanes, unit.lanes_of(n)]
    tiles = (tile for lanes in widths for tile in _tiles(m, lanes, unit))
    return sorted(tiles, key=lambda tile: _cycles(tile, m, n))[:count]


def best_exact_tiles(m: int, n: int, unit: VectorUnit, count: int) -> list[Tile]:
    """The tiles of the fewest modelled cycles whose rows divide m, and whose columns divide n."""
    tiles = _tiles(m, unit.lanes_of(n), unit)
    fitting = (t for t in tiles if m % t.rows == 0 and n % t.columns == 0)
    return sorted(fitting, key=lambda tile: _cycles(tile, m, n))[:count]


def choose_exact_tile(m: int, n: int, unit: VectorUnit) -> Tile:
    """The tile of the fewest modelled cycles whose rows divide m, and whose columns divide n."""
    lanes = unit.lanes_of(n)
    fitting = (t for t in _tiles(m, lanes, unit) if m % t.rows == 0 and n % t.columns == 0)
    return min(fitting, key=lambda tile: _cycles(tile, m, n))


def _tiles(m: int, lanes: int, unit: VectorUnit) -> Iterator[Tile]:
    free = unit.registers - 2  # a broadcast input, and one to spare
    for vectors in range(1, 9):
        # Beside the accumulators, a row of weights stays in registers.
        for rows in range(1, min(_MOST_ROWS, m, free // vectors - 1) + 1):
            yield Tile(rows, vectors * lanes, lanes)


def _cycles(tile: Tile, m: int, n: int) -> float:
    """Modelled cycles of one step of the reduction, for the whole output.

    A tile issues rows * vectors multiply-adds and rows + vectors loads, and takes no less than
    the latency of a multiply-add.
    """
    vectors = tile.columns // tile.lanes
    loads = tile.rows + vectors
    step = max(tile.rows * vectors / _PER_CYCLE, loads / _PER_CYCLE, _LATENCY_CYCLES)
    step += 0.02 * loads + 0.05 * max(0, tile.columns - _PANEL_VALUES) / tile.lanes
    return math.ceil(m / tile.rows) * math.ceil(n / tile.columns) * step
