"""A PostgreSQL server to throw away: for tests that kill theirs, and for a command.

    python tests/postgres.py COMMAND ...

runs a command with its URL in `TAILORBIRD_TEST_POSTGRES`. It listens on loopback alone, and ends
with who started it. Needs nothing but Python and Debian's package postgresql.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

_PATIENCE_S = 60.0
_SETTINGS = ("fsync=off", "unix_socket_directories=")

_UP = ("ready", "standby")


class Server:
    """Starts on a free port when it is entered, and leaves nothing.

    Attributes:
        folder: for its `data` and `log`.
        port: on 127.0.0.1.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="tailorbird-postgres-"))
        self._log = self.folder / "log"
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]

    @property
    def url(self) -> str:
        """Of its first database, as its superuser."""
        return f"postgresql+psycopg://postgres:secret@127.0.0.1:{self.port}/postgres"

    def __enter__(self) -> Self:
        try:
            self._as("initdb")  # or say what to install
            if os.getuid() == 0:  # whom PostgreSQL refuses
                shutil.chown(self.folder, "postgres", "postgres")
            password = self.folder / "password"
            password.write_text("secret")
            password.chmod(0o644)
            self._run(
                "initdb", "--no-sync", "--auth=scram-sha-256", f"--pwfile={password}",
                "--username=postgres", "--encoding=UTF8", "--locale=C",
            )  # fmt: skip
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if "_process" in self.__dict__:
            self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder)

    def start(self) -> None:
        """Starts it again, and waits until it answers."""
        ready, end = self.folder / "data/postmaster.pid", time.monotonic() + _PATIENCE_S
        ready.unlink(missing_ok=True)  # of one that was killed
        settings = [part for setting in _SETTINGS for part in ("-c", setting)]
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                [*self._as("postgres"), "-h", "127.0.0.1", "-p", str(self.port), *settings],
                cwd=self.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the command first
            )
        while not (ready.exists() and ready.read_text().rstrip().endswith(_UP)):
            if self._process.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"PostgreSQL does not start: {self._log.read_text()}")
            time.sleep(0.02)

    def stop(self, number: signal.Signals) -> None:
        """Ends it by a signal: SIGINT in order, SIGQUIT at once, SIGKILL without a word."""
        if self._process.poll() is not None:
            return
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        self._process.send_signal(number)
        self._process.wait(_PATIENCE_S)
        for child in children:  # they would hold its memory until they notice
            with suppress(ProcessLookupError):
                os.kill(int(child), signal.SIGKILL)
        while any(_lives(child) for child in children):
            time.sleep(0.01)

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [*self._as(program), *arguments], cwd=self.folder, capture_output=True, text=True
        )
        if done.returncode:
            raise SystemExit(f"{program} failed: {done.stderr.strip() or done.stdout.strip()}")

    def _as(self, program: str) -> list[str]:
        """A program on the data, as a user whom PostgreSQL takes; it ends when we do."""
        found = shutil.which(program, path=f"{os.environ['PATH']}:{_newest_folder()}")
        if found is None:
            raise SystemExit(f"There is no {program}. Install Debian's package postgresql.")
        user = ["--reuid=postgres", "--regid=postgres", "--init-groups"] if os.getuid() == 0 else []
        return ["setpriv", *user, "--pdeathsig=QUIT", found, "-D", str(self.folder / "data")]


def _lives(process: str) -> bool:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes() != b""
    except FileNotFoundError:
        return False


def _newest_folder() -> Path:
    """Where Debian keeps what is on nobody's PATH."""
    folders = Path("/usr/lib/postgresql").glob("*/bin")
    return max(folders, key=lambda folder: float(folder.parent.name), default=Path("/nowhere"))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with Server() as server:
        variables = os.environ | {"TAILORBIRD_TEST_POSTGRES": server.url}
        sys.exit(subprocess.run(sys.argv[1:], env=variables).returncode)
