"""A child process that answers requests, and is killed when it does not."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tailorbird.errors import MeasurementError, UnansweredError


class Worker:
    """A process that runs `python -m module CORES …`: one JSON line in, one JSON line out.

    It is a session of its own, so that killing it kills whatever it started, and Ctrl-C reaches
    only the parent. It ends by itself when the parent is gone, because its input ends.
    """

    def __init__(self, module: str, threads: int, log: Path, arguments: Sequence[str] = ()) -> None:
        # The last cores: the first tends to serve interrupts.
        cores = sorted(os.sched_getaffinity(0))[-threads:]
        pinned = dict.fromkeys(("TVM_NUM_THREADS", "OMP_NUM_THREADS"), str(threads))
        self._log = log
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, ",".join(map(str, cores)), *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**os.environ, **pinned},
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Process id, which is its group's as well."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """True if it can be asked again."""
        return self._process.poll() is None

    def ask(self, request: dict[str, Any], limit_s: float) -> dict[str, Any]:
        """Returns the answer to one request.

        Raises:
            MeasurementError: if the worker fails.
            UnansweredError: if it dies, loses the device, or takes longer than `limit_s`; then it
                has been killed.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        if self._process.stdin.closed:
            raise self._died()
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._died() from None
        if not select.select([self._process.stdout], [], [], limit_s)[0]:
            self.kill()
            raise UnansweredError(f"no answer within {limit_s:g} s; the worker was killed")
        line = self._process.stdout.readline()
        if not line.endswith(b"\n"):
            raise self._died()
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            kind = UnansweredError if answer.get("is_lost") else MeasurementError
            raise kind(answer["error"])
        return answer

    def kill(self) -> None:
        """Ends the worker and everything that it started."""
        if self._process.poll() is None:
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):  # a request that was never read
                    pipe.close()

    def _died(self) -> UnansweredError:
        self.kill()
        last = self._log.read_text(errors="replace").strip().splitlines()[-1:]
        return UnansweredError(
            f"the worker ended with status {self._process.returncode}: {' '.join(last)}"
        )
