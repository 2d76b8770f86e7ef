"""Sessions with TVM's RPC servers."""

import gc
import socket
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tvm import rpc

from tailorbird.latency_tables.devices.host import HostFacts
from tailorbird.latency_tables.devices.rpc_address import RpcAddress
from tailorbird.latency_tables.runtimes.tvm.compile.stopwatch import NAME
from tailorbird.latency_tables.runtimes.tvm.timer import BIG_CORES

SESSION_S = 900
"""Seconds after which a server ends a session by itself, and is free for others."""

_KNOCK_S = 10.0  # to open a connection


@dataclass(slots=True)
class Remote:
    """A machine behind an RPC server.

    Attributes:
        session: with the server.
        cpu: TVM's device.
    """

    session: Any
    cpu: Any = field(init=False)
    _loaded: dict[Path, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.cpu = self.session.cpu()

    def load(self, path: Path) -> Any:
        """Loads a library there; it is sent once, as a file in use must not be written again."""
        if path not in self._loaded:
            self.session.upload(str(path))
            self._loaded[path] = self.session.load_module(path.name)
        return self._loaded[path]

    def facts(self, folder: Path) -> HostFacts:
        """Asks for facts of the machine, by the stopwatch in that folder."""
        return HostFacts(str(self.load(folder / NAME)["facts"]()))

    def pin(self, folder: Path, threads: int) -> None:
        """Pins each thread of the session to a core.

        Raises:
            Exception: if it has fewer cores.
        """
        self.session.get_function("runtime.config_threadpool")(BIG_CORES, threads)
        self.load(folder / NAME)["pin"](threads)

    def is_lost(self) -> bool:
        """True if it no longer answers."""
        try:
            self.session.get_function("runtime.NumThreads")()
        except Exception:  # noqa: BLE001  # whatever TVM raises where nobody answers
            return True
        return False

    def close(self) -> None:
        """Ends the session, so that the server is free."""
        self._loaded.clear()
        gc.collect()
        self.session.get_function("CloseRPCConnection")()


def connect(server: RpcAddress) -> Remote:
    """Opens a session; waits while others have the device.

    Raises:
        ConnectionError: if there is no such server, or no such device behind the tracker.
    """
    address = _opened(server)
    try:
        if server.key is None:
            return Remote(rpc.connect(*address, session_timeout=SESSION_S))
        tracker = rpc.connect_tracker(*address)
        behind = keys(tracker, server.host)
    except (RuntimeError, OSError) as error:
        raise _nobody("server" if server.key is None else "tracker", error) from None
    if server.key not in behind:
        known = ", ".join(sorted(behind)) or "none"
        raise ConnectionError(f"the tracker knows no {server.key!r}; it has: {known}")
    try:
        return Remote(tracker.request(server.key, session_timeout=SESSION_S, max_retry=1))
    except (RuntimeError, OSError) as error:
        reason = str(error).strip().splitlines()[-1]
        raise ConnectionError(f"the device that the tracker gave is gone ({reason})") from None


def _nobody(kind: str, error: Exception) -> ConnectionError:
    reason = str(error).strip().splitlines()[-1]
    return ConnectionError(f"there is no RPC {kind} of TVM ({reason})")


def devices_behind(tracker: RpcAddress) -> dict[str, list[str]]:
    """Addresses of the servers behind a tracker, by key.

    Raises:
        ConnectionError: if there is no tracker.
    """
    address = _opened(tracker)
    try:
        return keys(rpc.connect_tracker(*address), tracker.host)
    except (RuntimeError, OSError) as error:
        raise _nobody("tracker", error) from None


def keys(tracker: Any, host: str) -> dict[str, list[str]]:
    """Addresses of the servers behind a tracker, by key.

    Args:
        tracker: session with it.
        host: of the tracker, on which servers are that do not say where.
    """
    addresses: dict[str, list[str]] = {}
    for one in tracker.summary()["server_info"]:
        key = str(one["key"]).removeprefix("server:")
        of_server, port = one["addr"]
        addresses.setdefault(key, []).append(f"{of_server or host}:{port}")
    return addresses


def _opened(server: RpcAddress) -> tuple[str, int]:
    """IP address and port at which somebody answers; TVM tries the first of a host only."""
    try:
        with socket.create_connection((server.host, server.port), timeout=_KNOCK_S) as one:
            return str(one.getpeername()[0]), server.port
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConnectionError(f"nothing answers there ({reason})") from None


def refuse_other_versions(facts: HostFacts) -> None:
    """Refuses a server with another version of TVM than the one that compiles for it.

    Raises:
        RuntimeError: if it has another one; one that does not tell may have any.
    """
    ours, theirs = version("apache-tvm"), facts.tvm_version
    if theirs not in ("", ours):
        raise RuntimeError(
            f"it runs TVM {theirs}, but programs are compiled by {ours} here: install "
            f"apache-tvm=={ours} there"
        )
