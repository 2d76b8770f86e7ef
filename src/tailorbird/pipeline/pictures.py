"""What pictures of networks are drawn from: their blocks, and the milliseconds of each."""

from tailorbird.latency_tables import LatencyTable
from tailorbird.spaces import CALL, IntArray, SearchSpace
from tailorbird.spaces.outline import HasOutline, Outline
from tailorbird.spaces.unions import member_row


def outlines_of(space: SearchSpace, X: IntArray) -> dict[str, Outline]:
    """Outlines of canonical rows (n, d) by text, of those whose space draws its networks."""
    outlines = {}
    for row in X:
        own, own_row = member_row(space, row)
        if isinstance(own, HasOutline):
            outlines[space.describe(row)] = own.outline(own_row)
    return outlines


def workload_ms_of(table: LatencyTable) -> dict[str, tuple[float, float]]:
    """Milliseconds that each workload of a table adds to a network, and their std, by its key.

    The call that each measurement has is taken off, as far as the table knows it.
    """
    call = table.entries.get(CALL.key)
    call_ms = call.median_ms if call else 0.0
    return {
        key: (row.median_ms - call_ms, row.std_ms)
        for key, row in table.entries.items()
        if key != CALL.key
    }
