"""Tunes tasks within a time budget, weakest first, and keeps what wins."""

import logging
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from tailorbird.errors import MeasurementError, UnansweredError
from tailorbird.latency_tables.devices.device import Device
from tailorbird.latency_tables.devices.locks import timing_lock
from tailorbird.latency_tables.runtimes.process.worker import Worker
from tailorbird.latency_tables.runtimes.tvm.schedule.plan import Plan
from tailorbird.latency_tables.runtimes.tvm.tuning.database import TaskFolder, Verdict
from tailorbird.progress import Advance

_LOG = logging.getLogger("tailorbird")

LEAST_GAIN = 0.02
"""Fraction of the static rule's time that a plan must save to be kept; less is noise."""

_STARTUP_S = 60.0  # importing TVM takes seconds on a cold disk
_TRIAL = {"n_rounds": 3, "n_samples": 4, "sample_s": 0.002, "give_up": 1.2}
_FINALISTS = 3
_SEMIFINAL = {"n_rounds": 5, "n_samples": 5, "sample_s": 0.003, "give_up": math.inf}
_FINAL_PLACEMENTS = 3  # of memory: a plan that wins in one may only be lucky there
_FINAL = {"n_rounds": 5, "n_samples": 6, "sample_s": 0.003, "give_up": math.inf}
_PATIENCE = 24  # trials in a row, without a gain, after which a task is left
_WORTH_WAITING = 0.01  # fraction of the best time that counts as a gain
_SURE = 0.8  # fraction of the rounds of the final that a plan must win
_LARGEST_ERROR = 1e-5  # of outputs, relative to the largest: as for whole programs


@dataclass(slots=True)
class Bench:
    """The process that builds and times kernels; another one takes its place when it is lost.

    Attributes:
        device: that is tuned for, and timed: this machine.
        log: what the process prints.
        limit_s: wall clock after which a request has failed, and the process is killed.
        worker: the process, once there is one.
    """

    device: Device
    log: Path
    limit_s: float = 30.0
    worker: Worker | None = None

    def ask(self, what: str, **request: Any) -> dict[str, Any]:
        """Returns the answer to a request.

        Raises:
            MeasurementError: if it fails, crashes or hangs.
        """
        limit_s = self.limit_s
        if self.worker is None or not self.worker.is_alive:
            self.close()
            self.worker = Worker(
                "tailorbird.latency_tables.runtimes.tvm.tuning.worker",
                self.device.threads,
                self.log,
            )
            limit_s += _STARTUP_S
        return self.worker.ask({"do": what, "limit_s": self.limit_s, **request}, limit_s)

    def open(self, folder: TaskFolder) -> dict[Plan, float]:
        """Opens a task; returns the seconds of each plan that was timed before."""
        request = {
            "folder": str(folder.path),
            "target": str(self.device.target),
            "threads": self.device.threads,
        }
        try:
            answer = self.ask("open", **request)
        except UnansweredError:  # what was lost may have been at fault before
            answer = self.ask("open", **request)
        return {Plan.of(plan): seconds for plan, seconds in answer["tried"]}

    def rounds(self, how: Mapping[str, Any]) -> np.ndarray:
        """Times the static kernel and the one built last: seconds of each round, (n, 2)."""
        with timing_lock(self.device.machine):
            return np.array(self.ask("time", how=how)["rounds"])

    def peak(self) -> float:
        """Measures the multiply-adds per second of one core."""
        with timing_lock(self.device.machine):
            answer = self.ask("peak", target=str(self.device.target))
        return float(answer["macs_per_second"])

    def close(self) -> None:
        """Ends the process."""
        if self.worker is not None:
            self.worker.kill()
            self.worker = None


def weakest_first(bench: Bench, uses: Mapping[TaskFolder, int]) -> list[TaskFolder]:
    """Tasks by what there is to gain, most first; without those that cannot be timed.

    That is the time above the arithmetic limit under the static rule, of all uses. What others
    hold is looked at again in the end; what they hold then, they tune, and it comes last.

    Args:
        bench: times them.
        uses: how often the programs use each.
    """
    limit = bench.peak() * bench.device.threads
    to_gain_s: dict[TaskFolder, float] = {}
    held = list(uses)
    for _ in range(2):
        others = []
        for folder in held:
            with folder.held() as is_ours:
                if not is_ours:
                    others.append(folder)
                    continue
                try:
                    bench.open(folder)
                    static_s = float(bench.rounds(_TRIAL).min())
                except MeasurementError as error:  # scalar code, say; the static rule stays
                    _LOG.warning("%s is not tuned: %s", folder.task["name"], error)
                    continue
            to_gain_s[folder] = (static_s - folder.task["n_macs"] / limit) * uses[folder]
        held = others
    return [*sorted(to_gain_s, key=lambda folder: to_gain_s[folder], reverse=True), *held]


def tune(
    folder: TaskFolder, bench: Bench, n_trials: int, deadline: float, advance: Advance
) -> Verdict | None:
    """Tries plans of one task, and decides.

    The folder must be held by this process.

    Args:
        folder: of the task; what was tried before counts.
        bench: builds and times.
        n_trials: plans to try, those that fail included.
        deadline: on the monotonic clock; what was tried until then decides.
        advance: is called after each trial.

    Returns:
        None if time was over before anything was tried.

    Raises:
        MeasurementError: if it cannot be timed under the static rule.
    """
    search = _Search(folder, bench)
    for number in range(len(search.seconds)):
        if number < n_trials:
            advance(f"known {folder.task['name']}")
    idle, is_settled = 0, False
    while len(search.seconds) < n_trials and time.monotonic() < deadline:
        before = search.best_s
        ratio = search.step()
        idle = 0 if search.best_s < (1 - _WORTH_WAITING) * before else idle + 1
        if is_settled := ratio is None or idle >= _PATIENCE:
            break
        best = search.best_s / search.static_s
        advance(f"{ratio:.2f} of static, best {best:.2f}: {folder.task['name']}")
    if not search.seconds:
        return None
    verdict = replace(search.verdict(), is_settled=is_settled)
    folder.decide(verdict)
    return verdict


@dataclass(slots=True)
class _Search:
    folder: TaskFolder
    bench: Bench
    seconds: dict[Plan, float] = field(init=False)
    static_s: float = field(init=False)
    rng: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        static = self.folder.space.static
        failed = self.folder.failed()
        failed.pop(static, None)  # it may have been the machine; all others are compared with it
        self.seconds = self.bench.open(self.folder) | failed
        self.rng = np.random.default_rng(len(self.seconds))
        # Seconds of other sessions are made comparable by those of the static plan then.
        self.static_s = self.seconds.get(static, math.nan)

    @property
    def best_s(self) -> float:
        """Seconds of the fastest plan so far."""
        return min(self.seconds.values(), default=math.inf)

    def step(self) -> float | None:
        """Tries one more plan; returns its time over the static one's, or None if none is left."""
        plan = self.folder.space.next(self.seconds, self.rng)
        if plan is None:
            return None
        try:
            self._build(plan)
            rounds = self.bench.rounds(_TRIAL)
            ratio = float(rounds[:, 1].min() / rounds[:, 0].min())
            if math.isnan(self.static_s):  # the first one
                self.static_s = float(rounds[:, 0].min())
            # The machine drifts: seconds are those of the static plan, times the ratio.
            self.seconds[plan] = ratio * self.static_s
            self.bench.ask("keep", seconds=self.seconds[plan])
        except MeasurementError as error:
            self._fail(plan, str(error))
            return math.inf
        return ratio

    def verdict(self) -> Verdict:
        """Compares the fastest plans with the static one again, in interleaved samples.

        Raises:
            MeasurementError: if the static one could not be timed.
        """
        if not math.isfinite(self.static_s):
            raise MeasurementError("the static rule's kernel could not be timed")
        static = self.folder.space.static
        rivals = sorted(
            (p for p, s in self.seconds.items() if p != static and s < self.static_s),
            key=lambda plan: self.seconds[plan],
        )
        ratios = {p: self._compared(p, _SEMIFINAL, 1)[1] for p in rivals[:_FINALISTS]}
        n_trials = len(self.seconds)
        for plan in sorted(ratios, key=lambda plan: float(np.median(ratios[plan]))):
            static_s, final = self._compared(plan, _FINAL, _FINAL_PLACEMENTS)
            median = float(np.median(final))
            if math.isinf(median):  # the next one may work
                continue
            wins = median <= 1 - LEAST_GAIN and float(np.mean(final < 1)) >= _SURE
            kept = plan if wins else None
            return Verdict(n_trials, kept, static_s, static_s * median, tuple(final.tolist()))
        return Verdict(n_trials, None, self.static_s, self.static_s, ())

    def _compared(
        self, plan: Plan, how: Mapping[str, Any], n_placements: int
    ) -> tuple[float, np.ndarray]:
        """Median seconds of the static plan, and the plan's seconds over these in each round."""
        try:
            self._build(plan)
            rounds = np.concatenate([self._placed(how) for _ in range(n_placements)])
        except MeasurementError as error:  # it worked before: it stays in the database
            _LOG.warning("A plan of %s failed: %s", self.folder.task["name"], error)
            return math.inf, np.array([math.inf])
        return float(np.median(rounds[:, 0])), rounds[:, 1] / rounds[:, 0]

    def _placed(self, how: Mapping[str, Any]) -> np.ndarray:
        self.bench.ask("move")
        return self.bench.rounds(how)

    def _build(self, plan: Plan) -> None:
        if self.bench.worker is None or not self.bench.worker.is_alive:
            self.bench.open(self.folder)
        error = self.bench.ask("build", plan=plan.fields)["error_of_outputs"]
        if not error <= _LARGEST_ERROR:
            raise MeasurementError(f"outputs differ by {error:.1e} from the static rule's")

    def _fail(self, plan: Plan, reason: str) -> None:
        self.folder.fail(plan, reason)
        self.seconds[plan] = math.inf
