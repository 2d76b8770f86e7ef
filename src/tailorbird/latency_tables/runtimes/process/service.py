"""Processes that answer requests, above all those that run and time compiled programs.

Each line of standard input is a request, and has its `limit_s`; the answer is a line as well, or
{error, is_lost}. Whichever runtime made a program, a request is {do, program, inputs, n_copies} and
either {outputs} to run it or {timing} to time it, and the answer {} or {ms, hot_ms}; arrays travel
as .npz files.
"""

import gc
import json
import math
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from tailorbird.latency_tables.runtime import Tensors, Timing
from tailorbird.latency_tables.runtimes import timing_protocol


class Loaded(Protocol):
    """A program in this process, with copies of its weights."""

    def run(self, inputs: Tensors) -> Tensors:
        """Runs the program once; returns its outputs."""

    def place(self, inputs: Tensors) -> timing_protocol.Placement:
        """Puts inputs and workspace somewhere new, for each copy of the weights."""


def serve(
    load: Callable[[Path, int], Loaded],
    start_threads: Callable[[int], None] | None = None,
    is_lost: Callable[[], bool] = lambda: False,
) -> None:
    """Runs and times programs as requests ask, until standard input ends.

    The process was started as `python -m … CORES`.

    Args:
        load: reads a compiled program, with that many copies of its weights.
        start_threads: starts those among which the runtime shares the work of that many threads,
            the one that calls it included; None if it gives each of them a core itself.
        is_lost: tells, after a failure, whether what the programs run on is gone.
    """
    settle(start_threads)
    listen(partial(_answer, load), is_lost)


def listen(
    answer: Callable[[dict[str, Any]], dict[str, Any]], is_lost: Callable[[], bool] = lambda: False
) -> None:
    """Answers requests until standard input ends, and collects garbage between them only.

    Args:
        answer: answers a request, which has its `limit_s`; what it raises is sent as the error.
        is_lost: tells, after a failure, whether what is needed is gone.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints goes to the log, not among the answers
    gc.disable()
    gc.freeze()
    for line in sys.stdin:
        request = json.loads(line)
        # The kernel ends this process if a request hangs and nobody is left to notice.
        signal.alarm(math.ceil(request["limit_s"]) + 5)
        try:
            reply = answer(request)
        except Exception as error:  # noqa: BLE001  # whatever a runtime raises is the answer
            lines = str(error).strip().splitlines() or [""]
            reply = {"error": f"{type(error).__name__}: {lines[-1]}", "is_lost": is_lost()}
        signal.alarm(0)
        gc.collect()
        answers.write(json.dumps(reply) + "\n")
        answers.flush()


def settle(start_threads: Callable[[int], None] | None) -> None:
    """Pins this process to the cores of the command line, and each working thread to one of them.

    The calling thread has the first. TVM's own way leaves it free to run where another waits for
    it, and counts from the machine's first core, whichever cores this process may use. Threads
    that a runtime starts last are the ones that share work; any before them only wait.
    """
    cores = [int(core) for core in sys.argv[1].split(",")]
    os.sched_setaffinity(0, cores)
    if start_threads is None:
        return
    before = _threads()
    start_threads(len(cores))
    os.sched_setaffinity(0, {cores[0]})
    started = sorted(_threads() - before)[::-1]
    for core, thread in zip(cores[1:], started, strict=False):
        os.sched_setaffinity(thread, {core})


def _threads() -> set[int]:
    return {int(path.name) for path in Path("/proc/self/task").iterdir()}


def _answer(load: Callable[[Path, int], Loaded], request: dict[str, Any]) -> dict[str, Any]:
    with np.load(request["inputs"]) as arrays:
        inputs = tuple(arrays[name] for name in arrays.files)
    program = load(Path(request["program"]), request["n_copies"])
    if request["do"] == "run":
        np.savez(request["outputs"], *program.run(inputs))
        return {}
    timing = Timing(**request["timing"])
    ms, hot_ms = timing_protocol.measure(lambda: program.place(inputs), timing)
    return {"ms": ms.tolist(), "hot_ms": hot_ms.tolist()}
