"""Decision of tuning for the programs of a space: the plans that are kept, and their identity.

A file that is written once: rows that were measured under it are never mixed with others.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tailorbird.errors import MeasurementError
from tailorbird.latency_tables.runtimes.tvm.schedule.plan import Plan
from tailorbird.latency_tables.runtimes.tvm.target import SCHEDULE
from tailorbird.storage import atomic


@dataclass(frozen=True, slots=True)
class TuningDecision:
    """Plans by the keys of their tasks; what has none is scheduled by the static rule.

    Attributes:
        n_trials: of each task, at most.
        plans: that were kept.
        n_tasks: how many tasks the programs have.
        n_reached: how many of them were tuned within the time there was.
    """

    n_trials: int
    plans: Mapping[str, Plan]
    n_tasks: int
    n_reached: int

    @property
    def schedule(self) -> str:
        """Schedule in a measurement's configuration: equal where the same code is made."""
        plans = json.dumps({key: plan.fields for key, plan in self.plans.items()}, sort_keys=True)
        return schedule_name(self.n_trials, hashlib.sha256(plans.encode()).hexdigest()[:8])

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """Reads a decision from its file; None if there is none.

        Raises:
            MeasurementError: if it is damaged.
        """
        if not path.exists():
            return None
        try:
            fields: dict[str, Any] = json.loads(path.read_text())
            plans = {key: Plan.of(plan) for key, plan in fields["plans"].items()}
            return cls(**{**fields, "plans": plans})
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise MeasurementError(
                f"{str(path)!r} should hold the plans that tuning kept, but is damaged ({error}). "
                "Bring back a copy, or delete it to decide anew: what was timed is kept beside it."
            ) from error

    def write(self, path: Path) -> None:
        """Writes its file, whole or not at all."""
        fields = {
            "n_trials": self.n_trials,
            "n_tasks": self.n_tasks,
            "n_reached": self.n_reached,
            "plans": {key: plan.fields for key, plan in sorted(self.plans.items())},
        }
        atomic.write(path, json.dumps(fields, indent=1) + "\n")


def schedule_name(n_trials: int, which: str) -> str:
    """Name of a schedule, such as tuned:64-static-2-0a1b2c3d.

    Args:
        n_trials: of each task, at most.
        which: hash of the plans, or "undecided", under which nothing is measured.
    """
    return f"tuned:{n_trials}-{SCHEDULE}-{which}"
