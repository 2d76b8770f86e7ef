"""The process that runs and times compiled programs: `python -m … CORES`.

Each line of standard input asks for one round: {library, inputs, outputs, limit_s, warmup_ms,
repeats, repeat_ms}. The answer is {ms: [...]} or {error: ...}; arrays travel as .npz files.
"""

import gc
import json
import math
import os
import signal
import sys
from typing import Any

import numpy as np
import tvm
from tvm import relax

_LARGEST_GAP = 1 << 18  # bytes between placements: more than a page, less than a cache


def main() -> None:
    """Serves until standard input ends."""
    os.sched_setaffinity(0, {int(core) for core in sys.argv[1].split(",")})
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints goes to the log, not among the answers
    gc.disable()
    libraries: dict[str, Any] = {}
    for line in sys.stdin:
        request = json.loads(line)
        # The kernel ends this process if a program hangs and nobody is left to notice.
        signal.alarm(math.ceil(request["limit_s"]) + 5)
        try:
            answer: dict[str, Any] = {"ms": _round(request, libraries)}
        except (RuntimeError, ValueError, OSError) as error:
            answer = {"error": f"{type(error).__name__}: {str(error).strip().splitlines()[-1]}"}
        signal.alarm(0)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _round(request: dict[str, Any], libraries: dict[str, Any]) -> list[float]:
    """Milliseconds of one run, a value per sample; writes what the program computed.

    Where its buffers lie decides which of them compete for the same lines of the cache. In a bad
    place a small network runs a good deal slower, and stays so for as long as it keeps its
    memory. So each sample has memory of its own, and none is freed before the last.
    """
    path = request["library"]
    if path not in libraries:
        libraries[path] = tvm.runtime.load_module(path)
    with np.load(request["inputs"]) as arrays:
        inputs = [arrays[name] for name in arrays.files]
    rng = np.random.default_rng(0)
    ms, held = [], []
    for sample in range(request["repeats"]):
        gap = np.empty(rng.integers(_LARGEST_GAP), dtype=np.uint8)
        machine = relax.VirtualMachine(libraries[path], tvm.cpu())
        tensors = [tvm.runtime.tensor(x) for x in inputs]
        held.append((gap, machine, tensors))
        if sample == 0:
            outputs = machine["main"](*tensors)
            outputs = outputs if isinstance(outputs, tuple | list) else [outputs]
            np.savez(request["outputs"], *(output.numpy() for output in outputs))
        warmup_ms = request["warmup_ms"] if sample == 0 else request["repeat_ms"] / 3
        for least_ms in (warmup_ms, request["repeat_ms"]):
            timed = machine.time_evaluator(
                "main", tvm.cpu(), number=1, repeat=1, min_repeat_ms=round(least_ms)
            )(*tensors)
        ms.append(1e3 * timed.results[0])
    return ms


if __name__ == "__main__":
    main()
