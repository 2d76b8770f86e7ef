"""The register tile of a contraction, chosen by a model of the cycles that it costs."""

from dataclasses import dataclass

from tailorbird.latency_tables.tvm.target import VectorUnit


@dataclass(frozen=True, slots=True)
class Tile:
    """Accumulators that stay in registers: `rows` x `columns` values, `lanes` to a register."""

    rows: int
    columns: int
    lanes: int


def choose_tile(m: int, n: int, unit: VectorUnit) -> Tile:
    """The tile of an (m, n) output with the fewest modelled cycles per value.

    One step of the reduction issues rows * vectors multiply-adds and rows + vectors loads, two of
    each a cycle, and cannot be shorter than the latency of a multiply-add. Rows and columns divide
    m and n, so that no tile has an edge.

    Args:
        m: rows of the output, the axis that shares weights.
        n: columns of the output, the contiguous axis.
        unit: vector registers of the target.
    """
    lanes = next((v for v in (unit.lanes, unit.lanes // 2, unit.lanes // 4) if v and n % v == 0), 1)
    free = unit.registers - 4  # weights, a broadcast input, and slack for addresses
    best, fewest = Tile(1, lanes, lanes), float("inf")
    for vectors in (v for v in range(1, 9) if (n // lanes) % v == 0):
        for rows in (r for r in range(1, 17) if m % r == 0 and r * vectors <= free):
            step = max(rows * vectors / 2, (rows + vectors) / 2, 4.0)
            cycles = step / (rows * vectors)
            if cycles < fewest:
                best, fewest = Tile(rows, vectors * lanes, lanes), cycles
    return best
