"""Devices behind RPC servers."""

import re
from pathlib import Path

from tailorbird.errors import RecipeError
from tailorbird.latency_tables.devices import host as facts_of_machines
from tailorbird.latency_tables.devices.device import HERE, Device
from tailorbird.latency_tables.devices.host import HostFacts
from tailorbird.latency_tables.devices.rpc_address import RpcAddress
from tailorbird.latency_tables.devices.target import Target
from tailorbird.latency_tables.runtimes.tvm.rpc.client import facts_of


def find(name: str, server: RpcAddress, threads: int, target: str | None, kept: Path) -> Device:
    """Returns a device behind a server, which need not be there once its facts are known.

    Args:
        name: what recipes call it.
        server: where it is.
        threads: cores that one network may use.
        target: that programs are compiled for; what its processor can do, if None.
        kept: file of its facts; where there is none, the device is asked, and it is written.

    Raises:
        RecipeError: if it cannot be reached, or has fewer cores.
    """
    parsed = None if target is None else Target.parse(target)
    facts = facts_of_machines.load(str(server), kept)
    if facts is None:
        facts = facts_of(server, parsed.triple if parsed else None)
        facts_of_machines.save(facts, str(server), kept)
    if not 1 <= threads <= facts.cores:
        raise RecipeError(
            f"`1 <= threads <= {facts.cores}` must hold on the device {server}, but got {threads}."
        )
    return device_of(name, server, threads, parsed or facts.target, facts)


def met_again(device: Device, kept: Path) -> Device:
    """Returns a device as it is now: it may have been restarted, or be another machine.

    Raises:
        RecipeError: if it cannot be reached, runs another TVM, or is another machine.
    """
    assert device.server is not None
    facts = facts_of(device.server, device.target.triple)
    if facts.cpu != device.cpu:
        raise RecipeError(
            f"The device {device.server} is another machine now, {facts.cpu!r} and not "
            f"{device.cpu!r}. Give its recipe a name of its own."
        )
    facts_of_machines.save(facts, str(device.server), kept)
    return device_of(device.name, device.server, device.threads, device.target, facts)


def device_of(
    name: str, server: RpcAddress, threads: int, target: Target, facts: HostFacts
) -> Device:
    """Returns the device of these facts; one on this machine shares the machine's timing lock."""
    boot = re.sub(r"[^0-9a-f-]", "", facts.boot)  # it becomes the name of a lock
    machine = HERE if facts.boot == HostFacts.here().boot else boot
    return Device(name, facts.cpu, target, threads, server, machine)
