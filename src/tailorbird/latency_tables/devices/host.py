"""Facts of a machine as its kernel tells them: cores, processor, boot."""

import json
import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tailorbird.latency_tables.devices.target import Target
from tailorbird.storage import atomic

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_MODEL = Path("/proc/device-tree/model")
_CPUINFO = Path("/proc/cpuinfo")
_X86 = ("cpu family", "model")


@dataclass(frozen=True, slots=True)
class HostFacts:
    """Facts of one machine, this one or another.

    Attributes:
        text: all of it, a line each: architecture, cores that a process may use, id of the boot,
            model of the board, version of TVM, and then what /proc/cpuinfo says.
    """

    text: str

    @classmethod
    def here(cls) -> Self:
        """Reads the facts of this machine."""
        cores = len(os.sched_getaffinity(0))
        boot, model, cpuinfo = map(_text, (_BOOT, _MODEL, _CPUINFO))
        return cls("\n".join([platform.machine(), str(cores), boot, model, "", cpuinfo]))

    @property
    def architecture(self) -> str:
        """Name of the architecture, as `uname -m` gives it."""
        return self._line(0)

    @property
    def cores(self) -> int:
        """Number of cores that a process may use."""
        return int(self._line(1))

    @property
    def boot(self) -> str:
        """Id of the boot: the same for all that runs under one kernel, however it is reached."""
        return self._line(2)

    @property
    def cpu(self) -> str:
        """Model of the processor as its kernel names it, or else the board, or numbers of its core.

        Under hypervisors names are as coarse as "AMD EPYC", of which one took twice as long as
        another: so x86 has its family and model besides.
        """
        fields = self._cpuinfo
        arm = [fields.get(f"CPU {part}", "") for part in ("implementer", "part", "variant")]
        name = (
            fields.get("model name") or self._line(3) or " ".join([self.architecture, *arm]).strip()
        )
        x86 = [f"{key.removeprefix('cpu ')} {fields[key]}" for key in _X86 if key in fields]
        return f"{name} ({', '.join(x86)})" if x86 else name

    @property
    def tvm_version(self) -> str:
        """Version of TVM of an RPC server; empty where it does not tell, and for this machine."""
        return self._line(4)

    @property
    def target(self) -> Target:
        """Instruction set that programs for this machine are compiled for by default."""
        fields = self._cpuinfo
        flags = frozenset(fields.get("flags", fields.get("Features", "")).split())
        return Target.of(self.architecture, flags, fields.get("CPU part", ""))

    @property
    def _cpuinfo(self) -> dict[str, str]:
        """Fields of /proc/cpuinfo of the last complete core: big ones come last, and are timed."""
        blocks = "\n".join(self.text.splitlines()[5:]).split("\n\n")
        pairs = [
            [line.split(":", 1) for line in block.splitlines() if ":" in line] for block in blocks
        ]
        cores = [{name.strip(): value.strip() for name, value in block} for block in pairs]
        return [block for block in cores if block.keys() == cores[0].keys()][-1]

    def _line(self, number: int) -> str:
        lines = self.text.splitlines()
        return lines[number].strip() if number < len(lines) else ""


def _text(path: Path) -> str:
    return path.read_text().strip("\0\n") if path.exists() else ""


def save(facts: HostFacts, server: str, file: Path) -> None:
    """Writes the facts of a run's device, so that its table can be read while it is away.

    Args:
        facts: of the device.
        server: where it was reached, as recipes say it.
        file: JSON.
    """
    atomic.write(file, json.dumps({"server": server, "facts": facts.text}, indent=1))


def load(server: str, file: Path) -> HostFacts | None:
    """Reads the facts that were saved when this server was last reached; None if it never was."""
    try:
        saved = json.loads(file.read_text())
        facts = HostFacts(str(saved["facts"]))
        return facts if saved["server"] == server and facts.cores > 0 else None
    except (OSError, ValueError, KeyError, TypeError):  # none, or torn: it is asked again
        return None
