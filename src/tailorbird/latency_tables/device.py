"""The machine that is measured, and what makes two measurements comparable."""

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from tailorbird.errors import RecipeError, nearest
from tailorbird.latency_tables.target import Target

IMPORTED = "imported"
"""In the place of runtime and schedule, where a table was not measured by this package."""

NOWHERE = Target("", "not stated")
"""The target of a device that nothing is compiled for."""


@dataclass(frozen=True, slots=True)
class Device:
    """Something that latency is measured on.

    Attributes:
        name: what recipes call it.
        cpu: model of the processor, as the kernel names it.
        target: that programs are compiled for.
        threads: cores that one network may use.
    """

    name: str
    cpu: str
    target: Target
    threads: int


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
        """That of a table which others measured: what they do not say is not known."""
        unknown = "not stated"
        return cls(device, unknown, threads, batch, IMPORTED, unknown, IMPORTED, unknown)

    @property
    def is_imported(self) -> bool:
        """Whether others measured the table, in a way of their own."""
        return self.runtime == IMPORTED

    @property
    def key(self) -> str:
        """Stable text; equal configurations have equal keys."""
        return json.dumps(asdict(self), sort_keys=True)

    def differences(self, ours: "Configuration") -> dict[str, tuple[object, object]]:
        """This one's value and ours of each field in which they are not equal."""
        pairs = ((f.name, getattr(self, f.name), getattr(ours, f.name)) for f in fields(self))
        return {name: (theirs, our) for name, theirs, our in pairs if theirs != our}


def tell(differences: Mapping[str, tuple[object, object]]) -> str:
    """Such as `threads: 4 / 1; batch: 1 / 16`."""
    return "; ".join(f"{name}: {theirs} / {ours}" for name, (theirs, ours) in differences.items())


def find(name: str, threads: int, target: str | None = None) -> Device:
    """The device of that name.

    Args:
        name: of the device.
        threads: cores that one network may use.
        target: that programs are compiled for; what its processor can do, if None.

    Raises:
        RecipeError: if there is none, or it has fewer cores, or the target is none.
    """
    if name != "local":
        raise RecipeError(f"There is no device named {name!r}; {nearest(name, ['local'])}")
    cores = len(os.sched_getaffinity(0))
    if not 1 <= threads <= cores:
        raise RecipeError(
            f"`1 <= threads <= {cores}` must hold on this machine, but got {threads}."
        )
    facts = _cpuinfo()
    flags = frozenset(facts.get("flags", facts.get("Features", "")).split())
    cpu = facts.get("model name") or platform.processor() or platform.machine()
    own = Target.of(platform.machine(), flags, facts.get("CPU part", ""))
    return Device(name, cpu, own if target is None else Target.parse(target), threads)


def others(name: str, threads: int) -> Device:
    """A device that is not here, of which others measured a table.

    Raises:
        RecipeError: if the name is that of this machine, or none.
    """
    if name == "local" or not name.strip():
        raise RecipeError(
            f"With [latency] runtime = {IMPORTED!r}, [device] name must say of which device the "
            f"table is, in your words, but got {name!r}. To measure this machine, write runtime = "
            '"tvm".'
        )
    return Device(name, name, NOWHERE, threads)


def provenance() -> dict[str, str]:
    """The state of this machine: shown beside measurements, no part of their identity."""
    governor = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    return {
        "kernel": platform.release(),
        "governor": governor.read_text().strip() if governor.exists() else "not shown",
        "cores": str(os.cpu_count()),
        "load_1min": f"{os.getloadavg()[0]:.2f}",
        "python": platform.python_version(),
    }


def _cpuinfo() -> dict[str, str]:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    pairs = (line.split(":", 1) for line in lines if ":" in line)
    return {name.strip(): value.strip() for name, value in pairs}
