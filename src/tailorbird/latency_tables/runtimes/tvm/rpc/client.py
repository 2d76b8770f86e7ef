"""Facts of RPC servers, asked by a process of its own, as TVM's client can wait for ever."""

import tempfile
from pathlib import Path
from typing import Any

from tailorbird.errors import MeasurementError, RecipeError, UnansweredError
from tailorbird.latency_tables.devices.host import HostFacts
from tailorbird.latency_tables.devices.rpc_address import RpcAddress
from tailorbird.latency_tables.runtimes.process.worker import Worker

LIMIT_S = 45.0
"""Seconds for that process to start, connect and ask."""


def facts_of(server: RpcAddress, triple: str | None = None, patience_s: float = 0.0) -> HostFacts:
    """Asks a device for facts of its machine.

    Args:
        server: where it is.
        triple: that it has; its server is asked if None.
        patience_s: how long to try again while nothing answers.

    Raises:
        RecipeError: if it cannot be reached, or runs another TVM.
    """
    request = {"server": server.facts, "triple": triple, "patience_s": patience_s}
    try:
        return HostFacts(str(_ask(request, LIMIT_S + patience_s)["facts"]))
    except UnansweredError as error:
        raise RecipeError(
            f"The device {server} does not answer ({error}): its server is busy with another "
            "client, or frozen. Wait, or start it again."
        ) from None
    except MeasurementError as error:
        raise RecipeError(f"The device {server} cannot be used: {error}.") from None


def devices_behind(tracker: RpcAddress) -> dict[str, list[str]]:
    """Asks a tracker for the addresses of the servers behind it, by key.

    Raises:
        RecipeError: if it cannot be asked.
    """
    try:
        devices: dict[str, list[str]] = _ask({"tracker": tracker.facts}, LIMIT_S)["devices"]
    except MeasurementError as error:
        raise RecipeError(f"The tracker at {tracker} cannot be asked: {error}.") from None
    return devices


def _ask(request: dict[str, Any], limit_s: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        worker = Worker(
            "tailorbird.latency_tables.runtimes.tvm.rpc.probe", 1, Path(folder) / "knock.log"
        )
        try:
            return worker.ask(request | {"limit_s": limit_s}, limit_s)
        finally:
            worker.kill()
