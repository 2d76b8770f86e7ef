"""Limits of measured and stated latencies and spreads, so that sums of latencies make sense."""

from collections.abc import Mapping

from tailorbird.errors import PriceError
from tailorbird.spaces import CALL

SHORTEST_MS, LONGEST_MS = 1e-9, 1e9
"""A picosecond, in which no processor does anything, and eleven days."""

LARGEST_RELATIVE_STD = 10.0
"""The largest stated spread, over its latency, that still tells anything."""

_NOISE = 0.1  # by which a program that does next to nothing may seem faster than the empty one


def is_latency(ms: float) -> bool:
    """True if milliseconds are finite, positive, and such as a program can take."""
    return SHORTEST_MS <= ms <= LONGEST_MS


def is_spread(std_ms: float, ms: float) -> bool:
    """True if a standard deviation is finite, not negative, and not absurd beside its latency."""
    return 0.0 <= std_ms <= LARGEST_RELATIVE_STD * ms


def refuse_dear_call(ms: Mapping[str, float], device: str, is_stated: bool) -> None:
    """Refuses an empty program that costs more than programs which contain it.

    Each workload adds its latency less that of the empty program, so networks would cost less than
    nothing.

    Args:
        ms: latencies by key, perhaps with that of the empty program.
        device: name, for the message.
        is_stated: whether a file said so; what is measured has noise.

    Raises:
        PriceError: naming the programs.
    """
    call_ms = ms.get(CALL.key, 0.0)
    least_ms = call_ms if is_stated else (1 - _NOISE) * call_ms
    cheaper = [key for key, one in ms.items() if one < least_ms]
    if cheaper:
        raise PriceError(
            f"Every program contains the empty one, so none can be faster; but in the table of "
            f"{device!r} {CALL.key} takes {call_ms:g} ms, and {len(cheaper)} of {len(ms) - 1} "
            f"programs take less (first: {cheaper[0]}, {ms[cheaper[0]]:g} ms). Correct them, or "
            f"leave out the row of {CALL.key} if its time was taken off theirs."
        )
