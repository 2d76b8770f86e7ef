"""Processes that try cases, and that may be killed: by a limit of time, or by what they read."""

import multiprocessing
import os
import queue
import random
import resource
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path

from fuzz.case import Case, Fuzzer
from fuzz.judge import Judged, commands_of, judge

MEMORY = 4 * 2**30
"""Bytes that a process may map, besides what it has mapped before a case."""

_SPAWN = multiprocessing.get_context("spawn")
_PREPARING_S = 300.0

Kinds = Mapping[str, Callable[[Path], Fuzzer]]
"""Classes of inputs by name, which are made with an empty folder of their own."""


@dataclass(frozen=True, slots=True)
class Job:
    """A case to be tried.

    Attributes:
        kind: name of its class.
        number: within its class; that of an original is negative.
    """

    kind: str
    number: int

    def __str__(self) -> str:
        return f"{self.kind}:{self.number}"


@dataclass(frozen=True, slots=True)
class Tried:
    """A case that was tried, and the seconds that it took."""

    job: Job
    judged: Judged
    seconds: float


def tried(
    jobs: Sequence[Job],
    kinds: Kinds,
    *,
    seed: int,
    n_workers: int,
    limit_s: float,
    keep: Path | None = None,
) -> Iterator[Tried]:
    """Tries cases in processes that are used again, and gives them as they are done.

    Args:
        jobs: what to try; the case of a job is the same whatever else is tried.
        kinds: to which they belong.
        seed: of all draws.
        n_workers: processes.
        limit_s: after which a case hangs, and its process is killed.
        keep: folder for the files of cases that did not end as they should.
    """
    left: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
    for job in [*jobs, *[None] * n_workers]:
        left.put(job)
    done: queue.SimpleQueue[Tried | BaseException] = queue.SimpleQueue()

    def work(folder: Path) -> None:
        worker = None
        try:
            while (job := left.get()) is not None:
                worker = worker or _Worker(folder, kinds, seed)
                one = worker.tried(job, limit_s)
                if keep is not None and one.judged.verdict not in ("refused", "accepted"):
                    worker.keep(keep / f"{job.kind}-{job.number}")
                done.put(one)
                if not worker.is_alive:
                    worker.end()
                    worker = None
        except BaseException as error:  # noqa: BLE001  # is raised where it is waited for
            done.put(error)
        finally:
            if worker is not None:
                worker.end()

    with (
        tempfile.TemporaryDirectory(prefix="fuzz-", dir=keep) as scratch,  # files are renamed
        ThreadPoolExecutor(n_workers) as threads,
    ):
        for number in range(n_workers):
            threads.submit(work, Path(scratch, str(number)))
        try:
            for _ in jobs:
                one = done.get()
                if isinstance(one, BaseException):
                    raise one
                yield one
        finally:
            while not left.empty():
                left.get()
            for _ in range(n_workers):
                left.put(None)


class _Worker:
    """A process, from this side.

    Args:
        folder: of its own; what lies there is removed.
        kinds: that it makes cases of.
        seed: of all draws.
    """

    def __init__(self, folder: Path, kinds: Kinds, seed: int) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        self._case = folder / "case"
        self._connection, theirs = _SPAWN.Pipe()
        self._process = _SPAWN.Process(
            target=_serve, args=(theirs, folder, self._case, dict(kinds), seed), daemon=True
        )
        self._process.start()
        theirs.close()

    @property
    def is_alive(self) -> bool:
        return self._process.is_alive()

    def tried(self, job: Job, limit_s: float) -> Tried:
        """What comes of a case; the process is dead if it hung, or killed itself."""
        self._connection.send(job)
        if not self._connection.poll(_PREPARING_S):
            raise TimeoutError(f"{job} was not prepared in {_PREPARING_S:g} s")
        begun = self._received()
        start = time.perf_counter()
        try:
            if self._connection.poll(limit_s):
                judged = self._received()
            else:
                judged = replace(begun, verdict="hang", said=f"no end in {limit_s:g} s")
        except EOFError:
            self._process.join()
            judged = replace(begun, said=f"the process ended with {self._process.exitcode}")
        if judged.verdict == "hang":
            self._process.kill()
            self._process.join()
        return Tried(job, judged, time.perf_counter() - start)

    def _received(self) -> Judged:
        got = self._connection.recv()
        if not isinstance(got, Judged):
            raise RuntimeError(f"The fuzzer itself failed:\n{got}")  # noqa: TRY004  # no argument
        return got

    def keep(self, folder: Path) -> None:
        """Moves the files of the last case away."""
        shutil.rmtree(folder, ignore_errors=True)
        self._case.rename(folder)

    def end(self) -> None:
        self._process.kill()
        self._process.join()
        self._connection.close()


def _serve(connection: Connection, folder: Path, case: Path, kinds: Kinds, seed: int) -> None:
    """Tries what it is asked to until it is killed."""
    home = folder / "home"
    temporary = folder / "tmp"
    temporary.mkdir()
    home.mkdir(mode=0o700)
    tempfile.tempdir = str(temporary)
    os.environ.update(dict.fromkeys(("HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR"), str(home)))
    made: dict[str, Fuzzer] = {}
    path, modules = sys.path.copy(), set(sys.modules)
    while True:
        job: Job = connection.recv()
        try:
            if job.kind not in made:
                own = folder / job.kind
                own.mkdir()
                made[job.kind] = kinds[job.kind](own)
                modules = set(sys.modules)
            shutil.rmtree(case, ignore_errors=True)
            case.mkdir()
            made_case = _made(made[job.kind], job, case, seed)
            connection.send(Judged("traceback", "", made_case.change, commands_of(made_case)))
            connection.send(_judged(made_case, case))
        except BaseException:  # is raised where it is waited for
            connection.send(traceback.format_exc())
            raise
        sys.path[:] = path
        for name in set(sys.modules) - modules:
            if str(getattr(sys.modules[name], "__file__", None)).startswith(str(case)):
                del sys.modules[name]


def _made(fuzzer: Fuzzer, job: Job, folder: Path, seed: int) -> Case:
    if job.number < 0:
        return fuzzer.original(-1 - job.number, folder)
    return fuzzer.case(random.Random(f"{seed}/{job}"), folder)


def _judged(case: Case, folder: Path) -> Judged:
    """What comes of a case under a limit of memory."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + MEMORY, hard))
    try:
        return judge(case, folder)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
        os.chdir(folder.parent)
