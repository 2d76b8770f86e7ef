"""The timing protocol, the same for every runtime; it runs in the process that is timed.

What is done, and what happened without it:

- **One process on fixed cores, threads likewise.** A thread that moves leaves its caches behind;
  two threads with a busy neighbour ran 20 times slower.
- **No garbage collection while timing**: it runs whenever it likes, for milliseconds.
- **Warm-up**: first runs load code, fill the allocator's pools and touch each copy of the weights.
- **A sample is at least `sample_ms` of runs in a row**, between two readings of one clock, so that
  neither the clock nor one interrupt decides it. It is the mean of its runs.
- **Sampling ends when samples agree** (quartiles within `spread` of the median), at
  `most_samples`, or when it has used half of the time limit: a quiet machine costs little, a
  noisy one does not cost everything.
- **Weights as cold as in a network.** A block timed alone keeps its weights in the nearest cache;
  in a network they were driven out since their last use, and sums of blocks come out 5 to 7 % too
  low. So runs take turns with copies of the weights, and the turns go on from sample to sample.
  Emptying the cache instead would leave weights colder than a network does. A few samples of one
  copy again and again tell hot from cold.
- **Several placements a round.** Where buffers lie decides which of them compete for the same
  lines of a cache. In a bad place a small network runs a third slower, and stays so for as long as
  it keeps its memory. So samples are spread over placements with inputs and workspace of their
  own at a random distance, none freed before the last. Copies of the weights are shared.
- **The empty program goes the same way**: its time is taken off every other's, so whatever the
  protocol adds to a run cancels.
- **Rounds lie apart, and a reference runs between them** (`drift_reference.py`): a machine drifts
  for minutes, which samples of one round cannot show.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from tailorbird.latency_tables.runtime import Timing
from tailorbird.spaces import FloatArray

PROTOCOL = "rotating-1"
"""Part of a measurement's configuration: raise it when a change here changes what is measured."""

PLACEMENTS = 5
"""How many placements a round has."""

LARGEST_GAP = 1 << 18  # bytes between placements: more than a page, less than a cache
_FRACTION_OF_LIMIT = 0.5  # of the time limit, after which sampling ends with what it has
_FEWEST_SAMPLES = 3  # even then: a single one cannot show its spread
_NS_PER_MS = 1e6

Call = Callable[[], object]


class Placement(Protocol):
    """A program somewhere in memory, with copies of its weights."""

    @property
    def n_copies(self) -> int:
        """Number of copies of the weights."""

    def elapsed_ns(self, first: int, n_calls: int, n_turns: int) -> int:
        """Nanoseconds of calls in a row, of one copy after another.

        Args:
            first: the copy that is called first.
            n_calls: how many calls.
            n_turns: how many copies take turns: the first ones.
        """


@dataclass(frozen=True, slots=True)
class Calls:
    """A placement in this process.

    Attributes:
        calls: a call of each copy.
        clock_ns: reads a clock, in nanoseconds.
    """

    calls: Sequence[Call]
    clock_ns: Callable[[], int] = time.perf_counter_ns

    @property
    def n_copies(self) -> int:
        """Number of copies of the weights."""
        return len(self.calls)

    def elapsed_ns(self, first: int, n_calls: int, n_turns: int) -> int:
        """Nanoseconds of calls in a row."""
        turn = [self.calls[(first + i) % n_turns] for i in range(n_calls)]
        begin = self.clock_ns()
        for call in turn:
            call()
        return self.clock_ns() - begin


@dataclass(slots=True)
class _Turns:
    """Runs copies in turns; which one is next does not depend on the placement."""

    next_copy: int = 0
    call_ns: dict[int, float] = field(default_factory=dict)

    def sample(self, placement: Placement, n_turns: int, least_ns: float) -> float:
        """Milliseconds of one run: the mean of runs that take at least `least_ns` together."""
        elapsed = n_calls = 0
        while elapsed < least_ns:
            guess_ns = self.call_ns.get(n_turns, least_ns)
            n = max(1, int(np.ceil((least_ns - elapsed) / guess_ns)))
            elapsed += placement.elapsed_ns(self.next_copy % n_turns, n, n_turns)
            n_calls += n
            self.next_copy += n
            self.call_ns[n_turns] = max(elapsed, 1) / n_calls
        return elapsed / n_calls / _NS_PER_MS


def measure(
    place: Callable[[], Placement],
    timing: Timing,
    clock_ns: Callable[[], int] = time.perf_counter_ns,
) -> tuple[FloatArray, FloatArray]:
    """Measures one round: cold and hot samples, milliseconds of one run, (n,) and (k,).

    Args:
        place: makes a placement with inputs and workspace somewhere new.
        timing: how the round goes.
        clock_ns: reads the clock of the time limit, in nanoseconds.
    """
    deadline_ns = clock_ns() + _FRACTION_OF_LIMIT * timing.limit_s * 1e9
    rng = np.random.default_rng()
    gaps, placements = [], []
    for _ in range(PLACEMENTS):
        gaps.append(np.empty(rng.integers(LARGEST_GAP), dtype=np.uint8))
        placements.append(place())
    turns, n_copies = _Turns(), placements[0].n_copies
    sample_ns, warmup_ns = _NS_PER_MS * timing.sample_ms, _NS_PER_MS * timing.warmup_ms
    placements[0].elapsed_ns(0, n_copies, n_copies)
    for placement in placements:
        turns.sample(placement, n_copies, warmup_ns / PLACEMENTS)
    ms: list[float] = []
    per_turn = max(1, -(-timing.least_samples // PLACEMENTS))
    while not _settled(ms, timing):
        for placement in placements:
            # What the last placement left is driven out.
            turns.sample(placement, n_copies, sample_ns / 3)
            ms += [turns.sample(placement, n_copies, sample_ns) for _ in range(per_turn)]
            if clock_ns() > deadline_ns and len(ms) >= _FEWEST_SAMPLES:
                break
        else:
            continue
        break
    hot_ms: list[float] = []
    if n_copies > 1:
        for placement in placements:
            turns.sample(placement, 1, sample_ns / 3)
            hot_ms.append(turns.sample(placement, 1, sample_ns))
    return np.array(ms[: timing.most_samples]), np.array(hot_ms)


def _settled(ms: Sequence[float], timing: Timing) -> bool:
    if len(ms) < timing.least_samples:
        return False
    low, median, high = np.percentile(ms, [25, 50, 75])
    return bool(high - low <= timing.spread * median) or len(ms) >= timing.most_samples
