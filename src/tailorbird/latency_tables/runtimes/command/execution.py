"""Runs a command to its end, and no longer than it may."""

import errno
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tailorbird.errors import MeasurementError, UnansweredError, plain

LARGEST_BYTES = 1 << 20
"""Most that a command may print."""

_LAST_BYTES = 1 << 14  # of what it says on standard error
_TICK_S = 0.02
_REAP_S = 10.0
_GUARD = 'read -r nothing; kill -s KILL -- "-$1"'


def printed_by(words: Sequence[str], folder: Path, limit_s: float) -> bytes:
    """Runs a program in a session of its own; returns what it printed on standard output.

    Whatever it leaves running in its session ends with it, and all of it if this process dies.

    Args:
        words: the program and its arguments.
        folder: in which it runs.
        limit_s: seconds after which it is killed.

    Raises:
        MeasurementError: if it cannot be started, fails, or prints too much.
        UnansweredError: if it takes too long.
    """
    try:
        process = subprocess.Popen(
            words,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        way_out = ": begin the script with #!/bin/sh" if error.errno == errno.ENOEXEC else ""
        raise MeasurementError(
            f"the command cannot be started ({error.strerror}{way_out})"
        ) from None
    try:
        with _guarded(process.pid):
            out, err = _said_until_end(process, limit_s)
    finally:
        _end(process)
    if process.returncode:
        said = err.decode(errors="replace").strip().splitlines()[-1:] or ["it said nothing"]
        raise MeasurementError(f"the command {_how(process.returncode)}: {plain(said[0].strip())}")
    return out


@contextmanager
def _guarded(session: int) -> Iterator[None]:
    """Has another process kill a session when this one dies, and its end of a pipe closes."""
    guard = subprocess.Popen(
        ["/bin/sh", "-c", _GUARD, "guard", str(session)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    with guard:
        try:
            yield
        finally:
            guard.kill()


def _said_until_end(process: subprocess.Popen[bytes], limit_s: float) -> tuple[bytes, bytes]:
    """Standard output, and the end of standard error; others may hold both open for longer."""
    assert process.stdout is not None
    assert process.stderr is not None
    out, err = process.stdout.fileno(), process.stderr.fileno()
    said = {out: b"", err: b""}
    deadline_s, has_ended = time.monotonic() + limit_s, False
    with selectors.DefaultSelector() as pipes:
        for pipe in said:
            os.set_blocking(pipe, False)
            pipes.register(pipe, selectors.EVENT_READ)
        while not has_ended:
            if time.monotonic() > deadline_s:
                raise UnansweredError(f"the command took longer than {limit_s:g} s, and was killed")
            # Asked before the last look into the pipes, so that nothing it printed is missed.
            has_ended = _is_zombie(process.pid)
            for key, _ in pipes.select(0 if has_ended else _TICK_S):
                new = os.read(key.fd, LARGEST_BYTES)  # all: pipes hold no more
                if not new:
                    pipes.unregister(key.fd)
                said[key.fd] += new
            said[err] = said[err][-_LAST_BYTES:]
            if len(said[out]) > LARGEST_BYTES:
                raise MeasurementError(
                    f"the command printed more than {LARGEST_BYTES:,} bytes, and was killed: it "
                    "must print milliseconds, one a line, and nothing else"
                )
    return said[out], said[err]


def _is_zombie(pid: int) -> bool:
    """True once a child has ended; it is not waited for, so that its id remains its own."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _end(process: subprocess.Popen[bytes]) -> None:
    # Another user's programs, as behind sudo, are not ours to kill.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(subprocess.TimeoutExpired):
        process.wait(_REAP_S)
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


def _how(code: int) -> str:
    """How a process ended that did not end well."""
    if code > 0:
        return f"ended with exit code {code}"
    name = next((one.name for one in signal.Signals if one == -code), f"signal {-code}")
    return f"was ended by {name}"
