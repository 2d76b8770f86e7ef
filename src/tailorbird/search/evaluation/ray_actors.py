"""Actors of a Ray cluster that evaluate networks."""

import contextlib
import logging
import os
import pickle
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tailorbird.errors import EvaluationError, in_a_line, shown
from tailorbird.search.evaluation.executors import Outcome, Row, outcomes
from tailorbird.search.evaluation.worker import EvaluatorFactory, Worker

if TYPE_CHECKING:
    from ray import ObjectRef

_LOG = logging.getLogger("tailorbird")
_PATIENCE_S = 10.0  # for a cluster that does not answer
_NO_ROOM_S = 60.0  # without a worker, after which that is told


class RayCluster:
    """A cluster of Ray, on which each worker is an actor; this process joins it.

    An actor has the evaluator, and so weights and images, as long as it lives. Ray starts none of
    its own accord and repeats nothing: rows of one that died are handed out again here, and another
    actor takes its place, on any node.

    Args:
        address: `auto` for the cluster that this machine is part of, or `host:port`.
        n_gpus: of each actor, which may be a part of one.

    Raises:
        EvaluationError: if Ray is not installed, or there is no such cluster.
    """

    def __init__(self, address: str = "auto", n_gpus: float = 0.0) -> None:
        try:
            import ray
        except ImportError as error:
            raise EvaluationError(
                f"A cluster is Ray's, which is not installed ({in_a_line(error)}). "
                "`pip install tailorbird[ray]` installs it."
            ) from error
        self._n_gpus = n_gpus
        self._has_told = False
        try:
            host, colon, port = address.rpartition(":")
            if colon and port.isdecimal():  # Ray itself tries for minutes
                socket.create_connection((host, int(port)), _PATIENCE_S).close()
            if not ray.is_initialized():
                ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
        except (OSError, RuntimeError, ValueError) as error:
            raise EvaluationError(
                f"A cluster of Ray must run at {shown(address)}, but is not found "
                f"({in_a_line(error)}). Start one with `ray start --head`, or give its address."
            ) from error

    def start(self, factory: EvaluatorFactory) -> Worker:
        """Starts an actor, as soon as a node has a processor for it, and GPUs if they are told.

        Raises:
            EvaluationError: if no node has as many GPUs.
        """
        import ray

        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]  # Ray's
        most = max((node.get("GPU", 0.0) for node in nodes), default=0.0)
        if self._n_gpus > most:
            raise EvaluationError(
                f"Each worker is to have {self._n_gpus:g} GPUs, but no node of the cluster has "
                f"more than {most:g}. Lower [accuracy] worker_gpus."
            )
        return RayWorker(factory, self._n_gpus)

    def listen(self, workers: Sequence[Worker], patience_s: float) -> Sequence[Worker]:
        """Workers that said something."""
        import ray

        waited = {w.expected: w for w in workers if isinstance(w, RayWorker) and w.expected}
        if not waited:
            return ()
        said, _ = ray.wait([*waited], timeout=patience_s)
        if not said and not self._has_told and all(w.is_awaited for w in waited.values()):
            _LOG.warning(
                "No worker on the cluster is ready after %g s. If all processors or GPUs are in "
                "use, which `ray status` shows, they start once one is free.",
                _NO_ROOM_S,
            )
            self._has_told = True
        return [waited[answer] for answer in said]


class RayWorker(Worker):
    """An actor that evaluates rows handed to it.

    Attributes:
        expected: its next answer; None if none is.
    """

    def __init__(self, factory: EvaluatorFactory, n_gpus: float) -> None:
        import ray

        super().__init__()
        made: Any = ray.remote(num_cpus=1, num_gpus=n_gpus, max_restarts=0)(_Actor)
        try:
            content = ray.cloudpickle.dumps(factory)  # type: ignore[no-untyped-call]  # Ray's
        except (TypeError, pickle.PicklingError) as error:
            raise EvaluationError(
                "What evaluates networks must be picklable to reach a cluster "
                f"({in_a_line(error)}). Define it in a module."
            ) from None
        self._actor: Any = made.remote(content, str(Path.cwd()), sys.path)
        self.expected: ObjectRef[Any] | None = self._actor.ready.remote()
        self._ending = ""
        self._asked_at = time.monotonic()

    @property
    def is_awaited(self) -> bool:
        """True if it was asked for long ago and is not ready."""
        return not self.is_ready and time.monotonic() - self._asked_at > _NO_ROOM_S

    @property
    def is_alive(self) -> bool:
        """True if it may still answer."""
        return not self._ending

    @property
    def ending(self) -> str:
        """Words for how it ended."""
        return self._ending

    def send(self, rows: Sequence[Row]) -> None:
        """Sends the actor rows."""
        self.expected = self._actor.outcomes.remote(list(rows))

    def read(self) -> Iterator[Outcome]:
        """Yields the outcomes of the rows that it was given.

        Raises:
            EvaluationError: if it could not start.
        """
        import ray

        if self.expected is None or not ray.wait([self.expected], timeout=0)[0]:
            return
        answer, self.expected = self.expected, None
        try:
            known = ray.get(answer)
        except ray.exceptions.RayActorError as error:
            self._ending = f"died with its node or by itself: {in_a_line(error)}"
            return
        except ray.exceptions.RayError as error:
            if not self.is_ready:
                raise self.cannot_start(in_a_line(error)) from error
            self._ending = f"failed: {in_a_line(error)}"
            return
        if not self.is_ready:
            if known is not None:
                raise self.cannot_start(known)
            self.is_ready = True
            return
        for outcome in known:
            self.answered(outcome)
            yield outcome

    def kill(self) -> None:
        """Ends the actor; Ray ends what it started."""
        import ray

        with contextlib.suppress(Exception):  # the cluster may be gone
            ray.kill(self._actor)
        self.expected = None


class _Actor:
    """Has an evaluator, as it works in the folder of whoever started it.

    Args:
        content: of what makes the evaluator, which is read once its modules can be found.
        folder: of whoever started it, in which the recipe's paths begin.
        paths: in which modules are looked for there.
    """

    def __init__(self, content: bytes, folder: str, paths: Sequence[str]) -> None:
        self._fault: str | None = None
        try:
            os.chdir(folder)
            sys.path += [path for path in paths if path not in sys.path]
            self._evaluator = pickle.loads(content)()
        except BaseException as error:  # noqa: BLE001  # whatever it is, the other side tells it
            self._fault = in_a_line(error)

    def ready(self) -> str | None:
        """None once there is the evaluator, or why there is none."""
        return self._fault

    def outcomes(self, rows: list[Row]) -> list[Outcome]:
        """Outcomes of rows that are evaluated together."""
        return list(outcomes(self._evaluator, rows))
