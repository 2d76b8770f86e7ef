"""The process that runs and times compiled programs, whichever runtime made them.

Each line of standard input is a request: {do, program, inputs, n_copies, limit_s} and either
{outputs} to run a program or {timing} to time it. The answer is {}, {ms, hot_ms} or {error}, on a
line; arrays travel as .npz files.
"""

import gc
import json
import math
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from tailorbird.latency_tables import sampling
from tailorbird.latency_tables.runtime import Tensors, Timing


class Loaded(Protocol):
    """A program in this process, with copies of its weights."""

    def run(self, inputs: Tensors) -> Tensors:
        """What it computes."""

    def place(self, inputs: Tensors) -> Sequence[sampling.Call]:
        """A call for each copy of the weights, with inputs and workspace somewhere new."""


def serve(load: Callable[[Path, int], Loaded]) -> None:
    """Answers until standard input ends: `python -m … CORES`.

    Args:
        load: reads a compiled program, with that many copies of its weights.
    """
    os.sched_setaffinity(0, {int(core) for core in sys.argv[1].split(",")})
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints goes to the log, not among the answers
    gc.disable()
    gc.freeze()
    for line in sys.stdin:
        request = json.loads(line)
        # The kernel ends this process if a program hangs and nobody is left to notice.
        signal.alarm(math.ceil(request["limit_s"]) + 5)
        try:
            answer = _answer(request, load)
        except Exception as error:  # noqa: BLE001  # whatever a runtime raises is the answer
            lines = str(error).strip().splitlines() or [""]
            answer = {"error": f"{type(error).__name__}: {lines[-1]}"}
        signal.alarm(0)
        gc.collect()  # between requests, where nothing is timed
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _answer(request: dict[str, Any], load: Callable[[Path, int], Loaded]) -> dict[str, Any]:
    with np.load(request["inputs"]) as arrays:
        inputs = tuple(arrays[name] for name in arrays.files)
    program = load(Path(request["program"]), request["n_copies"])
    if request["do"] == "run":
        np.savez(request["outputs"], *program.run(inputs))
        return {}
    timing = Timing(**request["timing"])
    ms, hot_ms = sampling.measure(lambda: program.place(inputs), timing)
    return {"ms": ms.tolist(), "hot_ms": hot_ms.tolist()}
