"""Database of tuning: a folder for each task, which any process may read or copy.

`task.json` holds the kernel and the plans that it can have, `database_*.json` is MetaSchedule's
database of what was timed, `failures.jsonl` what failed, `verdict.json` the plan that was kept.
Who tunes a task holds its lock.
"""

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from filelock import Timeout

from tailorbird.latency_tables.devices.locks import file_lock
from tailorbird.latency_tables.runtimes.tvm.schedule.plan import Plan
from tailorbird.latency_tables.runtimes.tvm.schedule.plan_space import TuningSpace
from tailorbird.storage import atomic

_TASK = "task.json"
_VERDICT = "verdict.json"
_FAILURES = "failures.jsonl"
_RECORDS = ("database_workload.json", "database_tuning_record.json")  # MetaSchedule's names


@dataclass(frozen=True, slots=True)
class Verdict:
    """Result of tuning a task.

    Attributes:
        n_trials: plans that were tried, those that failed included.
        plan: what was kept; None for the static rule.
        static_s: one run of the kernel under the static rule, in the last comparison.
        tuned_s: of the best plan there was, kept or not.
        ratios: tuned over static, of each round of that comparison.
        is_settled: true if trials ended because they brought nothing any more.
    """

    n_trials: int
    plan: Plan | None
    static_s: float
    tuned_s: float
    ratios: tuple[float, ...]
    is_settled: bool = False

    def is_final(self, n_trials: int) -> bool:
        """True if that many trials would add nothing."""
        return self.is_settled or self.n_trials >= n_trials


@dataclass(frozen=True, slots=True)
class TaskFolder:
    """The folder of one task.

    Attributes:
        path: of the folder, which `make` made.
        task: what `make` was given.
    """

    path: Path
    task: dict[str, Any] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "task", json.loads((self.path / _TASK).read_text()))

    @classmethod
    def make(cls, database: Path, key: str, task: Mapping[str, Any]) -> Self:
        """The task's folder in a database; what is there is kept."""
        path = database / key
        path.mkdir(parents=True, exist_ok=True)
        if not (path / _TASK).exists():
            atomic.write(path / _TASK, json.dumps(task))
        return cls(path)

    @property
    def space(self) -> TuningSpace:
        """The plans that the kernel can have."""
        return TuningSpace.of(self.task["space"])

    def verdict(self) -> Verdict | None:
        """Reads the result of tuning; None before there is one."""
        path = self.path / _VERDICT
        if not path.exists():
            return None
        fields = json.loads(path.read_text())
        plan = Plan.of(fields["plan"]) if fields["plan"] else None
        return Verdict(**{**fields, "plan": plan, "ratios": tuple(fields["ratios"])})

    def decide(self, verdict: Verdict) -> None:
        """Writes the result of tuning."""
        plan = verdict.plan.fields if verdict.plan else None
        atomic.write(self.path / _VERDICT, json.dumps(asdict(verdict) | {"plan": plan}, indent=1))

    @contextmanager
    def held(self) -> Iterator[bool]:
        """Locks the task, and yields true; yields false at once if another process has it."""
        with ExitStack() as stack:
            try:
                stack.enter_context(file_lock(self.path / ".lock", timeout_s=0))
            except Timeout:
                is_ours = False
            else:
                is_ours = True
                self._mend()
            yield is_ours

    def failed(self) -> dict[Plan, float]:
        """Reads the plans that failed, each with infinite seconds."""
        path = self.path / _FAILURES
        lines = path.read_text().splitlines() if path.exists() else []
        return {Plan.of(json.loads(line)["plan"]): math.inf for line in lines}

    def fail(self, plan: Plan, reason: str) -> None:
        """Records that a plan failed, so that it is not tried again."""
        with (self.path / _FAILURES).open("a") as file:
            file.write(json.dumps({"plan": plan.fields, "reason": reason}) + "\n")

    def _mend(self) -> None:
        """Cuts off lines that a kill or a full disk left torn; they held what was in flight.

        A record whose kernel is missing cannot be read either, so both files are cut.
        """
        n_kernels = _cut(self.path / _RECORDS[0], lambda line: True)
        _cut(self.path / _RECORDS[1], lambda line: 0 <= line[0] < n_kernels)
        _cut(self.path / _FAILURES, lambda line: bool(Plan.of(line["plan"])))


def _cut(path: Path, is_sound: Any) -> int:
    """Ends a file of JSON lines before the first that is not sound.

    Returns:
        How many lines it has.
    """
    if not path.exists():
        return 0
    lines = path.read_bytes().splitlines(keepends=True)
    sound = []
    for line in lines:
        with suppress(ValueError, TypeError, KeyError, IndexError):
            if line.endswith(b"\n") and is_sound(json.loads(line)):
                sound.append(line)
                continue
        break
    if len(sound) < len(lines):
        atomic.write(path, b"".join(sound).decode())
    return len(sound)
