"""The timing protocol on programs whose times are known: their clock is the one that is read."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise

import numpy as np
import pytest

from tailorbird.latency_tables import Timing
from tailorbird.latency_tables.runtimes.timing_protocol import PLACEMENTS, Calls, measure

TIMING = Timing(
    warmup_ms=20, sample_ms=3, least_samples=10, most_samples=40, spread=0.02, limit_s=60.0
)


@dataclass
class Machine:
    """A program of `n_copies` on a machine whose cache holds as many weights as `cached`."""

    cost_ns: Callable[[], float]
    n_copies: int = 1
    cached: int = 1
    miss_ns: float = 0.0
    now_ns: float = 0.0
    runs: list[tuple[int, int]] = field(default_factory=list)
    n_placements: int = 0

    def clock_ns(self) -> int:
        return int(self.now_ns)

    def place(self) -> Calls:
        self.n_placements += 1
        calls = [partial(self._run, self.n_placements, copy) for copy in range(self.n_copies)]
        return Calls(calls, self.clock_ns)

    def _run(self, placement: int, copy: int) -> None:
        hit = copy in [used for _, used in self.runs[-self.cached :]]
        self.now_ns += self.cost_ns() + (0 if hit else self.miss_ns)
        self.runs.append((placement, copy))

    def measure(self, timing: Timing = TIMING) -> tuple[np.ndarray, np.ndarray]:
        return measure(self.place, timing, self.clock_ns)


@pytest.mark.parametrize("cost_ns", [500.0, 40_000.0, 2e6, 50e6])
def test_a_steady_program_costs_the_fewest_samples_of_the_right_length(cost_ns: float) -> None:
    machine = Machine(lambda: cost_ns)
    ms, hot_ms = machine.measure()
    np.testing.assert_allclose(ms, cost_ns / 1e6, rtol=1e-3)
    assert len(ms) == TIMING.least_samples
    assert len(hot_ms) == 0
    n_runs = machine.now_ns / cost_ns
    assert n_runs * cost_ns >= 1e6 * (TIMING.warmup_ms + TIMING.sample_ms * len(ms))
    assert n_runs <= 40 or machine.now_ns < 2e6 * (TIMING.warmup_ms + TIMING.sample_ms * len(ms))


def test_an_unsteady_program_is_sampled_up_to_the_cap() -> None:
    rng = np.random.default_rng(0)
    ms, _ = Machine(lambda: float(rng.uniform(5e6, 15e6))).measure()
    assert len(ms) == TIMING.most_samples


def test_a_slow_program_ends_within_its_time_with_a_few_samples() -> None:
    machine = Machine(lambda: 2.5e9)
    ms, _ = machine.measure()
    assert 3 <= len(ms) < TIMING.least_samples
    assert machine.now_ns < 1e9 * TIMING.limit_s


def test_copies_take_turns_across_samples_and_placements() -> None:
    machine = Machine(lambda: 7e5, n_copies=4, cached=3, miss_ns=3e5)
    ms, hot_ms = machine.measure()
    copies = [copy for _, copy in machine.runs]
    n_cold = next(i for i, pair in enumerate(pairwise(copies)) if len({*pair}) == 1)
    assert copies[:n_cold] == [i % 4 for i in range(n_cold)]
    assert n_cold > 4 * TIMING.least_samples
    np.testing.assert_allclose(ms, 1.0)  # never in the cache
    np.testing.assert_allclose(hot_ms, 0.7, rtol=0.2)  # the first of a few misses
    assert (hot_ms < ms.min()).all()


def test_samples_come_from_all_placements_and_none_is_used_before_all_are_made() -> None:
    machine = Machine(lambda: 1e6)
    machine.measure()
    assert machine.n_placements == PLACEMENTS
    per_placement = np.bincount([placement for placement, _ in machine.runs])[1:]
    assert len(per_placement) == PLACEMENTS
    assert per_placement.min() > per_placement.max() / 3


@pytest.mark.parametrize("least", [1, 3, 10, 13])
def test_the_least_and_the_most_samples_are_kept_to(least: int) -> None:
    ms, _ = Machine(lambda: 1e6).measure(replace(TIMING, least_samples=least, most_samples=13))
    assert least <= len(ms) <= 13


def test_every_copy_ran_before_the_first_sample() -> None:
    """The first run of a copy touches its memory; here it takes a hundred times as long."""
    machine = Machine(lambda: 2e6, n_copies=30)

    def cost_ns() -> float:
        return 2e8 if machine.runs and len({c for _, c in machine.runs}) < 30 else 2e6

    machine.cost_ns = cost_ns
    ms, _ = machine.measure()
    np.testing.assert_allclose(ms, 2.0)


def test_samples_that_agree_less_than_asked_do_not_settle() -> None:
    costs = iter([9.85e6, 10.15e6] * 500)  # quartiles 3 % apart
    ms, _ = Machine(lambda: next(costs)).measure()
    assert len(ms) == TIMING.most_samples
    costs = iter([9.93e6, 10.07e6] * 500)  # 1.4 %
    ms, _ = Machine(lambda: next(costs)).measure()
    assert len(ms) == TIMING.least_samples
