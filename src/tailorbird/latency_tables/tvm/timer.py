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


def main() -> None:
    """Serves until standard input ends."""
    os.sched_setaffinity(0, {int(core) for core in sys.argv[1].split(",")})
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints goes to the log, not among the answers
    gc.disable()
    machines: dict[str, Any] = {}
    for line in sys.stdin:
        request = json.loads(line)
        # The kernel ends this process if a program hangs and nobody is left to notice.
        signal.alarm(math.ceil(request["limit_s"]) + 5)
        try:
            answer: dict[str, Any] = {"ms": _round(request, machines)}
        except (RuntimeError, ValueError, OSError) as error:
            answer = {"error": f"{type(error).__name__}: {str(error).strip().splitlines()[-1]}"}
        signal.alarm(0)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _round(request: dict[str, Any], machines: dict[str, Any]) -> list[float]:
    library = request["library"]
    if library not in machines:
        module = tvm.runtime.load_module(library)
        machines[library] = relax.VirtualMachine(module, tvm.cpu())
    machine = machines[library]
    with np.load(request["inputs"]) as arrays:
        inputs = [tvm.runtime.tensor(arrays[name]) for name in arrays.files]
    outputs = machine["main"](*inputs)
    outputs = outputs if isinstance(outputs, tuple | list) else [outputs]
    np.savez(request["outputs"], *(output.numpy() for output in outputs))
    evaluate = machine.time_evaluator
    evaluate("main", tvm.cpu(), number=1, repeat=1, min_repeat_ms=request["warmup_ms"])(*inputs)
    timed = evaluate(
        "main",
        tvm.cpu(),
        number=1,
        repeat=request["repeats"],
        min_repeat_ms=request["repeat_ms"],
    )(*inputs)
    return [1e3 * seconds for seconds in timed.results]


if __name__ == "__main__":
    main()
