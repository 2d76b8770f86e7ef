"""The process that has TVM's libraries run and timed behind an RPC server.

`python -m … CORES SERVER CPU THREADS`, where SERVER is JSON. TVM's client waits for ever for a
server that is frozen, so it is this process that waits, and is killed.
"""

import json
import sys
import time
from pathlib import Path

from tailorbird.latency_tables.devices.rpc_address import RpcAddress
from tailorbird.latency_tables.runtimes.process.service import serve
from tailorbird.latency_tables.runtimes.tvm.library import Library
from tailorbird.latency_tables.runtimes.tvm.rpc.session import (
    SESSION_S,
    Remote,
    connect,
    refuse_other_versions,
)

_RENEWED_S = SESSION_S / 3  # so that no session ends while it measures


class _Connection:
    """Connection to the device, opened when it is first needed."""

    def __init__(self, server: RpcAddress, cpu: str, threads: int) -> None:
        self._server = server
        self._cpu = cpu
        self._threads = threads
        self._remote: Remote | None = None
        self._since = float("-inf")

    def load(self, path: Path, n_copies: int) -> Library:
        """Loads a library on the device, with that many copies of its weights."""
        if self._remote is not None and time.monotonic() - self._since > _RENEWED_S:
            self._remote.close()
            self._remote = None
        if self._remote is None:
            self._since = float("-inf")  # what is refused here is asked anew
            self._remote = connect(self._server)
            self._prepare(self._remote, path.parent)
            self._since = time.monotonic()
        return Library(self._remote, path, n_copies)

    def _prepare(self, remote: Remote, folder: Path) -> None:
        """Refuses a machine other than the recipe's, and pins the device's threads."""
        facts = remote.facts(folder)
        refuse_other_versions(facts)
        if facts.cpu != self._cpu:
            raise RuntimeError(
                f"it is another machine now, {facts.cpu!r} and not {self._cpu!r}: give its "
                "recipe another name"
            )
        remote.pin(folder, self._threads)

    def is_lost(self) -> bool:
        """True if the device is gone, or was never there."""
        return self._remote is None or self._remote.is_lost()


if __name__ == "__main__":
    _, _, server, cpu, threads = sys.argv
    connection = _Connection(RpcAddress(**json.loads(server)), cpu, int(threads))
    serve(connection.load, is_lost=connection.is_lost)
