"""TVM's RPC servers and trackers as processes of their own, on this machine only."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def wait_for(port: int, limit_s: float = 60.0) -> None:
    end = time.monotonic() + limit_s
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)
        else:
            return


@dataclass
class RpcProcess:
    """`python -m tvm.exec.…` on a port, to be killed, frozen and started again."""

    module: str
    arguments: tuple[str, ...]
    log: Path
    port: int = field(default_factory=free_port)

    def __post_init__(self) -> None:
        self.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        place = ("--host", "127.0.0.1", "--port", str(self.port), "--port-end", str(self.port + 1))
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", self.module, *place, *self.arguments],
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, "TVM_NUM_THREADS": "1"},
            )
        wait_for(self.port)

    def signal(self, number: signal.Signals) -> None:
        """To the server and all that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self._process.wait()


@contextlib.contextmanager
def rpc_server(folder: Path, *arguments: str) -> Iterator[RpcProcess]:
    one = RpcProcess("tvm.exec.rpc_server", arguments, folder / "server.log")
    try:
        yield one
    finally:
        one.kill()


@contextlib.contextmanager
def rpc_tracker(folder: Path) -> Iterator[RpcProcess]:
    one = RpcProcess("tvm.exec.rpc_tracker", (), folder / "tracker.log")
    try:
        yield one
    finally:
        one.kill()
