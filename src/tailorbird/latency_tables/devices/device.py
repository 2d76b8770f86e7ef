"""The device that latency is measured on, and what is told of it beside measurements."""

import os
import platform
from dataclasses import dataclass
from pathlib import Path

from tailorbird.errors import DeviceError, nearest, shown
from tailorbird.latency_tables.devices.host import HostFacts
from tailorbird.latency_tables.devices.rpc_address import RpcAddress
from tailorbird.latency_tables.devices.target import Target

HERE = "local"
"""This machine, among those that are timed one program at a time."""

NOWHERE = Target("", "not stated")
"""The target of a device that nothing is compiled for."""


@dataclass(frozen=True, slots=True)
class Device:
    """Something that latency is measured on.

    Attributes:
        name: by which recipes name it.
        cpu: model of the processor, as the kernel names it.
        target: that programs are compiled for.
        threads: cores that one network may use.
        server: where it is; None for this machine.
        machine: tells what must not be timed side by side, however it is reached.
    """

    name: str
    cpu: str
    target: Target
    threads: int
    server: RpcAddress | None = None
    machine: str = HERE


def find(name: str, threads: int, target: str | None = None) -> Device:
    """Returns this machine as a device, with its processor and what it can compile for.

    Args:
        name: of the device, which must be `HERE`.
        threads: cores that one network may use.
        target: that programs are compiled for; what its processor can do, if None.

    Raises:
        DeviceError: if there is none, or it has fewer cores, or the target is none.
    """
    if name != HERE:
        raise DeviceError(f"There is no device named {shown(name)}; {nearest(name, [HERE])}")
    facts = HostFacts.here()
    if not 1 <= threads <= facts.cores:
        raise DeviceError(
            f"`1 <= threads <= {facts.cores}` must hold on this machine, but got {threads}."
        )
    asked = facts.target if target is None else Target.parse(target)
    return Device(name, facts.cpu, asked, threads)


def others(name: str, threads: int) -> Device:
    """Returns a device that is not here, and of which others measured a table.

    Raises:
        DeviceError: if the name is that of this machine, or none.
    """
    if name == HERE or not name.strip():
        raise DeviceError(
            "The name of a device that others measured must say which one it is, in your words, "
            f"but got {name!r}. To measure this machine, take a runtime that compiles."
        )
    return Device(name, name, NOWHERE, threads)


def provenance(device: Device) -> dict[str, str]:
    """State of a device, such as kernel and load: kept beside measurements, and not compared."""
    if device.server is not None:
        return {"server": str(device.server), "boot": device.machine}
    if device.target == NOWHERE:  # what is known of this machine says nothing of that one
        return {"started_from": platform.node()}
    governor = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    return {
        "kernel": platform.release(),
        "governor": governor.read_text().strip() if governor.exists() else "not shown",
        "cores": str(os.cpu_count()),
        "load_1min": f"{os.getloadavg()[0]:.2f}",
        "python": platform.python_version(),
    }
