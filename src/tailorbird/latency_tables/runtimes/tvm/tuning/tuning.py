"""Tuning of a space's programs for this machine: what a recipe asks for with tuned:N."""

import hashlib
import logging
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from tailorbird.errors import MeasurementError, MissingStepError, raising
from tailorbird.latency_tables.devices.device import Device
from tailorbird.latency_tables.devices.locks import file_lock
from tailorbird.latency_tables.program import Program
from tailorbird.latency_tables.runtimes.tvm.schedule.plan import Plan
from tailorbird.latency_tables.runtimes.tvm.target import SCHEDULE
from tailorbird.latency_tables.runtimes.tvm.tuning.database import TaskFolder
from tailorbird.latency_tables.runtimes.tvm.tuning.decision import TuningDecision, schedule_name
from tailorbird.latency_tables.runtimes.tvm.tuning.trials import Bench, tune, weakest_first
from tailorbird.progress import Advance, Progress

_LOG = logging.getLogger("tailorbird")
_TVM_VERSION = version("apache-tvm")
_WAIT_S = 1.0  # between looks at what another process tunes


@dataclass(frozen=True, slots=True)
class Tuning:
    """Tuning of programs for one device, and the folder that keeps its results.

    Attributes:
        folder: of databases, one for each target; may be copied to other machines.
        device: that is tuned for, and timed: this machine.
        keys: of the programs.
        n_trials: of each task, at most.
        minutes: that one go may take.
    """

    folder: Path
    device: Device
    keys: tuple[str, ...]
    n_trials: int
    minutes: float

    @property
    def database(self) -> Path:
        """Folder of the database for this target; what was timed for another one says nothing."""
        target = str(self.device.target).replace("/", "_")
        code = f"tvm-{_TVM_VERSION}.{SCHEDULE}"
        return self.folder / f"{target}.{self.device.threads}-threads.{code}"

    @property
    def decided(self) -> Path:
        """File of the decision for these programs, so many trials and minutes."""
        programs = hashlib.sha256("\n".join(sorted(self.keys)).encode()).hexdigest()[:8]
        limits = f"tuned-{self.n_trials}.{self.minutes:g}-minutes"
        return self.database / f"programs-{programs}.{limits}.json"

    def schedule(self) -> str:
        """Schedule in a measurement's configuration; before tuning it is one without rows."""
        decision = TuningDecision.read(self.decided)
        return schedule_name(self.n_trials, "undecided") if decision is None else decision.schedule

    def plans(self) -> Mapping[str, Plan]:
        """Plans that were decided for, by the keys of their tasks.

        Raises:
            MissingStepError: if nothing was decided yet.
        """
        decision = TuningDecision.read(self.decided)
        if decision is None:
            raise MissingStepError(
                f"With the schedule 'tuned:{self.n_trials}' kernels are tuned before programs are "
                "compiled: run `tailorbird profile RECIPE`."
            )
        return decision.plans

    def run(self, programs: Sequence[Program], progress: Progress) -> TuningDecision:
        """Tunes what was not tuned yet, and decides; what was decided stays.

        Several processes share the work: each takes a task at a time. One that is killed loses
        the trial in flight.

        Args:
            programs: whose kernels are tuned.
            progress: where it reports to.

        Raises:
            MeasurementError: if what was decided is damaged, or nothing can be timed.
        """
        decision = TuningDecision.read(self.decided)
        if decision is not None:
            return decision
        deadline = time.monotonic() + 60 * self.minutes
        self.database.mkdir(parents=True, exist_ok=True)
        uses = self.task_folders(programs)
        with (
            TemporaryDirectory() as temporary,
            closing(Bench(self.device, Path(temporary) / "worker.log")) as bench,
            progress.task("Tuning", len(uses) * self.n_trials) as advance,
        ):
            undone = {f: n for f, n in uses.items() if not self._is_done(f)}
            left = weakest_first(bench, undone)
            for folder in uses.keys() - set(left):
                self._skip(folder, 0, advance)
            while left:
                left = [f for f in left if not self._tune(f, bench, deadline, advance)]
                if left:
                    time.sleep(_WAIT_S)
        if time.monotonic() > deadline:
            _LOG.warning(
                "Tuning: %g minutes are over before all kernels were tuned. With more "
                "minutes it goes on.",
                self.minutes,
            )
        return self._decide(list(uses))

    def _tune(self, folder: TaskFolder, bench: Bench, deadline: float, advance: Advance) -> bool:
        """Tunes a task, unless it is done or time is over; false if another process has it."""
        with folder.held() as is_ours:
            if not is_ours:
                return False
            n_shown = 0

            def counted(done: str) -> None:
                nonlocal n_shown
                n_shown += 1
                advance(done)

            if not self._is_done(folder) and time.monotonic() < deadline:
                try:
                    tune(folder, bench, self.n_trials, deadline, counted)
                except MeasurementError as error:
                    _LOG.warning("%s is not tuned: %s", folder.task["name"], error)
            self._skip(folder, n_shown, advance)
            return True

    def _is_done(self, folder: TaskFolder) -> bool:
        verdict = folder.verdict()
        return verdict is not None and verdict.is_final(self.n_trials)

    def _skip(self, folder: TaskFolder, n_shown: int, advance: Advance) -> None:
        for _ in range(self.n_trials - n_shown):
            advance(f"done {folder.task['name']}")

    def _decide(self, folders: Sequence[TaskFolder]) -> TuningDecision:
        """Writes the decision; the first process that comes to an end decides for all."""
        with file_lock(self.database / ".lock", timeout_s=-1):
            decision = TuningDecision.read(self.decided)
            if decision is None:
                verdicts = {f.path.name: f.verdict() for f in folders}
                reached = {key: verdict for key, verdict in verdicts.items() if verdict}
                plans = {key: verdict.plan for key, verdict in reached.items() if verdict.plan}
                decision = TuningDecision(self.n_trials, plans, len(verdicts), len(reached))
                decision.write(self.decided)
        _LOG.info(
            "Tuning: of %d tasks %d were reached in time, and %d run faster than by the static "
            "rule.",
            decision.n_tasks,
            decision.n_reached,
            len(decision.plans),
        )
        return decision

    def task_folders(self, programs: Sequence[Program]) -> dict[TaskFolder, int]:
        """Makes the folders of all tasks; returns how many programs use each."""
        import torch

        from tailorbird.latency_tables.runtimes.tvm.compile.importer import import_module
        from tailorbird.latency_tables.runtimes.tvm.target import llvm_target, vector_unit
        from tailorbird.latency_tables.runtimes.tvm.tuning.tasks import tasks_of

        llvm, unit = llvm_target(self.device.target), vector_unit(self.device.target)
        uses: Counter[TaskFolder] = Counter()
        for program in programs:
            inputs = tuple(map(torch.from_numpy, program.examples(0)))
            try:
                with raising(partial(MeasurementError.of, f"{program.key} is not tuned")):
                    tasks = tasks_of(import_module(program.module(), inputs), llvm, unit)
            except MeasurementError as error:  # the row's reason once measured
                _LOG.warning("%s", error)
                continue
            for task in tasks:
                uses[TaskFolder.make(self.database, task.key, task.fields)] += 1
        return dict(uses)
