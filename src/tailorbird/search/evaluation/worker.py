"""Processes that evaluate networks, and can be killed when they hang."""

import contextlib
import math
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import Protocol

from tailorbird.errors import EvaluationError, in_a_line
from tailorbird.search.evaluation.executors import Evaluator, Outcome, Row, outcomes

PATIENCE_S = 1.0
"""Seconds between looks at whether a worker lives: what it started may hold its pipe."""


class EvaluatorFactory(Protocol):
    """Makes an evaluator; picklable and small, since it is sent to each worker."""

    def __call__(self) -> Evaluator:
        """The evaluator; called once in each worker."""


class Worker(ABC):
    """What evaluates rows handed to it, and may raise, hang or die.

    Attributes:
        rows: those handed out and not answered.
        n_rows: how many were handed out together.
        is_ready: whether it has its evaluator.
        deadline: of the answer, on the clock `time.monotonic`.
    """

    def __init__(self) -> None:
        self.is_ready = False
        self.rows: list[Row] = []
        self.n_rows = 0
        self.deadline = math.inf

    @property
    def is_idle(self) -> bool:
        """True if it can be given work."""
        return self.is_ready and not self.rows

    @property
    def is_late(self) -> bool:
        """True if it took too long."""
        return time.monotonic() >= self.deadline

    @property
    @abstractmethod
    def is_alive(self) -> bool:
        """True if it may still answer."""

    @property
    @abstractmethod
    def ending(self) -> str:
        """Words for how it ended, such as `ended with status 1`."""

    def hand_out(self, rows: Sequence[Row], timeout_s: float) -> None:
        """Gives it rows to evaluate together."""
        self.rows, self.n_rows = list(rows), len(rows)
        self.deadline = time.monotonic() + len(rows) * timeout_s
        self.send(self.rows)

    def answered(self, outcome: Outcome) -> None:
        """Takes in that a row was answered."""
        self.rows.remove(outcome.row)
        if not self.rows:
            self.deadline = math.inf

    @abstractmethod
    def send(self, rows: Sequence[Row]) -> None:
        """Sends it rows; if it is dead, that shows when it is listened to."""

    @abstractmethod
    def read(self) -> Iterator[Outcome]:
        """Yields the outcomes that it has sent.

        Raises:
            EvaluationError: if it could not start.
        """

    @abstractmethod
    def kill(self) -> None:
        """Ends it and everything that it started."""

    def cannot_start(self, reason: str) -> EvaluationError:
        """Error of a worker that could not start."""
        return EvaluationError(
            f"A worker that evaluates networks could not start ({reason}). Without workers and "
            "time-out more may be seen. A script of your own that starts workers must do its work "
            'under `if __name__ == "__main__":`.'
        )


class Place(Protocol):
    """Where workers are."""

    def start(self, factory: EvaluatorFactory) -> Worker:
        """Starts a worker.

        Raises:
            EvaluationError: if there is no place for one.
        """

    def listen(self, workers: Sequence[Worker], patience_s: float) -> Sequence[Worker]:
        """Workers of this place that said something, after so many seconds at most."""


class ProcessWorker(Worker):
    """A process that evaluates rows handed to it.

    Attributes:
        connection: to the process.
    """

    def __init__(self, factory: EvaluatorFactory) -> None:
        super().__init__()
        # Not forked: threads of torch and connections to the database would not survive that.
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(factory, theirs))
        try:
            self._process.start()
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise EvaluationError(
                f"What evaluates networks must be picklable to reach workers ({in_a_line(error)}). "
                "Define it in a module, or evaluate without workers and time-out."
            ) from None
        finally:
            theirs.close()

    @property
    def is_alive(self) -> bool:
        """True if it may still answer."""
        return not self.connection.closed and self._process.is_alive()

    @property
    def was_killed(self) -> bool:
        """True if a signal ended it; another worker may do better."""
        return (self._process.exitcode or 0) < 0

    @property
    def ending(self) -> str:
        """Words for how the process ended, such as `ended with status 1`."""
        status = self._process.exitcode
        if status is not None and status < 0:
            return f"was killed by {signal.Signals(-status).name}"
        return f"ended with status {status}"

    def send(self, rows: Sequence[Row]) -> None:
        """Sends the process rows."""
        with contextlib.suppress(OSError):
            self.connection.send(rows)

    def read(self) -> Iterator[Outcome]:
        """Yields the outcomes that the process has sent.

        Raises:
            EvaluationError: if it could not start.
        """
        try:
            while self.connection.poll():
                message = self.connection.recv()
                if isinstance(message, Outcome):
                    self.answered(message)
                    yield message
                elif message is None:
                    self.is_ready = True
                else:
                    raise self.cannot_start(message)
        except (EOFError, OSError):  # it died, perhaps in mid-sentence
            self.connection.close()
            self._process.join(PATIENCE_S)
        if not (self.is_ready or self.is_alive or self.was_killed):
            raise self.cannot_start(f"it {self.ending}")

    def kill(self) -> None:
        """Ends the process and everything that it started."""
        assert self._process.pid is not None  # it was started
        with contextlib.suppress(ProcessLookupError):  # it leads no group yet
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()
        self._process.join()
        self.connection.close()


class Processes:
    """This machine, on which each worker is a process."""

    def start(self, factory: EvaluatorFactory) -> Worker:
        """Starts a process.

        Raises:
            EvaluationError: if the factory cannot be sent to it.
        """
        return ProcessWorker(factory)

    def listen(self, workers: Sequence[Worker], patience_s: float) -> Sequence[Worker]:
        """Workers that said something."""
        by_connection = {w.connection: w for w in workers if isinstance(w, ProcessWorker)}
        return [by_connection[c] for c in wait([*by_connection], patience_s) if c in by_connection]


PROCESSES = Processes()
"""Processes of this machine."""


def _serve(factory: EvaluatorFactory, connection: Connection) -> None:
    """Runs in the process: evaluates until nobody asks any more."""
    os.setsid()  # a group of its own, which is killed together, and which Ctrl-C does not reach
    os.dup2(2, 1)  # standard output is for results of commands
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        evaluator = factory()
    except BaseException as error:  # noqa: BLE001  # whatever it is, the other side tells it
        connection.send(in_a_line(error))
        sys.exit(1)
    connection.send(None)
    with contextlib.suppress(EOFError, OSError):  # the other side has ended
        while True:
            for outcome in outcomes(evaluator, connection.recv()):
                connection.send(outcome)


def _end_with_parent() -> None:
    """Ends this worker when the other side does, in whatever way, though an evaluator may hang."""
    parent = multiprocessing.parent_process()
    assert parent is not None  # this is a worker
    parent.join()
    os.killpg(0, signal.SIGKILL)
