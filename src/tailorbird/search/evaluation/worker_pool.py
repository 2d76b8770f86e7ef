"""Workers that share the evaluation of networks, here or on a cluster."""

import atexit
import math
import time
import weakref
from collections import Counter, deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Self

from tailorbird.search.evaluation.executors import CHUNK, Outcome, Row, Work
from tailorbird.search.evaluation.worker import (
    PATIENCE_S,
    PROCESSES,
    EvaluatorFactory,
    Place,
    Worker,
)

_MOST_DEATHS = 3  # of workers with a row in hand, before the row is to blame


class Workers:
    """Runs an evaluator in workers that may raise, hang or die.

    A worker that takes too long is killed with whatever it started, and replaced. What it had in
    hand is evaluated again, row by row, so that only the guilty row fails; likewise if a worker
    dies, up to three times. Workers start when there is work, stay until `close`, and end when
    this process does, however it ends.

    Args:
        factory: makes the evaluator in each worker.
        n_workers: at most so many at a time.
        timeout_s: that the evaluation of one row may take; None for any time.
        chunk: rows that are evaluated together, at most.
        place: where workers are; processes of this machine if it is left out.
    """

    def __init__(
        self,
        factory: EvaluatorFactory,
        n_workers: int,
        timeout_s: float | None = None,
        chunk: int = CHUNK,
        place: Place = PROCESSES,
    ) -> None:
        self._factory, self._place = factory, place
        self._n_workers = n_workers
        self._timeout_s = math.inf if timeout_s is None else timeout_s
        self._chunk = chunk
        self._workers: list[Worker] = []
        self._end = weakref.finalize(self, _kill_all, self._workers)
        # Multiprocessing's own, which waits for its children, was registered before.
        self._end.atexit = False
        atexit.register(self._end)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends all workers; the next `run` starts others."""
        _kill_all(self._workers)

    def run(self, work: Work) -> Generator[Outcome, None, None]:
        """Yields the outcome of each row that it takes once, as soon as it is known.

        Raises:
            EvaluationError: if a worker cannot start.
        """
        n_each = max(1, math.ceil(len(work) / self._n_workers))
        left = _Left(work, min(self._chunk, n_each))
        known: list[Outcome] = []
        try:
            while True:
                self._start(len(left.again) + math.ceil(len(work) / left.chunk))
                self._hand_out(left)
                yield from known  # now that workers have something to do while these are written
                known = []
                if not self._workers or (left.is_empty and not self._are_busy):
                    return
                for worker in self._listen():
                    known += worker.read()
                    if worker.is_late or not worker.is_alive:
                        known += self._end_one(worker, left)
        finally:
            for worker in [worker for worker in self._workers if worker.rows]:
                worker.kill()  # its answers would be taken for those to the next question
                self._workers.remove(worker)

    @property
    def _are_busy(self) -> bool:
        return any(worker.rows for worker in self._workers)

    def _start(self, n_chunks: int) -> None:
        n_idle = sum(not worker.rows for worker in self._workers)
        for _ in range(min(n_chunks - n_idle, self._n_workers - len(self._workers))):
            self._workers.append(self._place.start(self._factory))

    def _hand_out(self, left: "_Left") -> None:
        for worker in self._workers:
            if worker.is_idle and (rows := left.take()):
                worker.hand_out(rows, self._timeout_s)

    def _listen(self) -> list[Worker]:
        """Workers that said something, died or are late."""
        deadline = min(worker.deadline for worker in self._workers)
        patience_s = min(max(0.0, deadline - time.monotonic()), PATIENCE_S)
        said = self._place.listen(self._workers, patience_s)
        return [w for w in self._workers if w in said or w.is_late or not w.is_alive]

    def _end_one(self, worker: Worker, left: "_Left") -> list[Outcome]:
        """Ends a worker; the rows in its hand fail if they are to blame, and wait again otherwise.

        Raises:
            EvaluationError: if too many workers could not start.
        """
        self._workers.remove(worker)
        worker.kill()
        left.n_stillborn += not worker.is_ready
        if left.n_stillborn == _MOST_DEATHS:
            raise worker.cannot_start(f"it {worker.ending}, as others were")
        failed = []
        for row in worker.rows:
            reason = self._blame(worker, row, left.deaths)
            if reason is None:
                left.again.append([row])
            else:
                failed.append(Outcome.failed(row, reason))
        return failed

    def _blame(self, worker: Worker, row: Row, deaths: Counter[Row]) -> str | None:
        """Reason why a row that a worker ended over has failed; None if it may be innocent."""
        if worker.is_late:
            return f"no value within {self._timeout_s:g} s" if worker.n_rows == 1 else None
        deaths[row] += 1
        if deaths[row] < _MOST_DEATHS:
            return None
        return f"its worker {worker.ending}, and so did {_MOST_DEATHS - 1} before"


@dataclass(slots=True)
class _Left:
    """What is left of the work of one `run`, and what became of workers over it.

    Attributes:
        work: whose rows are taken.
        chunk: so many at a time.
        again: rows of workers that ended, each alone.
        deaths: of workers with a row in hand, by row.
        n_stillborn: workers that ended before they were ready.
        is_over: true once there was nothing to take.
    """

    work: Work
    chunk: int
    again: deque[Sequence[Row]] = field(default_factory=deque)
    deaths: Counter[Row] = field(default_factory=Counter)
    n_stillborn: int = 0
    is_over: bool = False

    @property
    def is_empty(self) -> bool:
        """True if there is nothing to hand out."""
        return self.is_over and not self.again

    def take(self) -> Sequence[Row]:
        """Rows for an idle worker; none if there are none."""
        if self.again:
            return self.again.popleft()
        rows = () if self.is_over else self.work.take(self.chunk)
        self.is_over = not rows
        return rows


def _kill_all(workers: list[Worker]) -> None:
    while workers:
        workers.pop().kill()
