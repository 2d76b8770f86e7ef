"""Configuration of measurements: what must be equal for two of them to be compared."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

IMPORTED = "imported"
"""Value of runtime and schedule where a table was not measured by this package."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """What must be equal for two latencies to stand in one sum."""

    cpu: str
    target: str
    threads: int
    batch: int
    runtime: str
    runtime_version: str
    schedule: str
    timing: str

    @classmethod
    def imported(cls, device: str, threads: int, batch: int) -> "Configuration":
        """Configuration of a table that others measured: what they do not say is not known."""
        unknown = "not stated"
        return cls(device, unknown, threads, batch, IMPORTED, unknown, IMPORTED, unknown)

    @property
    def is_imported(self) -> bool:
        """True if others measured the table, in a way of their own."""
        return self.runtime == IMPORTED

    @property
    def key(self) -> str:
        """Stable text; equal configurations have equal keys."""
        return json.dumps(asdict(self), sort_keys=True)

    def differences(self, ours: "Configuration") -> dict[str, tuple[object, object]]:
        """Fields that differ, each with this one's value and ours."""
        pairs = ((f.name, getattr(self, f.name), getattr(ours, f.name)) for f in fields(self))
        return {name: (theirs, our) for name, theirs, our in pairs if theirs != our}


def tell(differences: Mapping[str, tuple[object, object]]) -> str:
    """Formats differences for a message, such as `threads: 4 / 1; batch: 1 / 16`."""
    return "; ".join(f"{name}: {theirs} / {ours}" for name, (theirs, ours) in differences.items())
