"""Seconds that filling a table costs, per workload: export, compile, check, time.

Export is `torch.export` of the module by itself; what the runtime needs beyond it is compile. The
time includes references, and rounds that were discarded. Nothing else should run on the machine.
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from scripts import command_line, write_result

from tailorbird import spaces
from tailorbird.latency_tables import Profiler, Program, Runtime, Store, Timing
from tailorbird.latency_tables.devices.device import find
from tailorbird.latency_tables.profiling.space_programs import programs_of
from tailorbird.progress import TerminalProgress
from tailorbird.registry.python_paths import load
from tailorbird.registry.runtimes import RUNTIMES

GOAL_S = 2.0
PARTS = ("export", "compile", "check", "time")


def export_s(program: Program) -> float:
    module = program.module()
    inputs = tuple(map(torch.from_numpy, program.examples(0)))
    begin = time.perf_counter()
    with torch.no_grad():
        torch.export.export(module, inputs)
    return time.perf_counter() - begin


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--space", default="digits-resnet")
    parser.add_argument("--runtime", choices=RUNTIMES, default="tvm")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workloads", type=int, help="only the first so many")
    arguments = parser.parse_args()
    programs = programs_of(spaces.get(arguments.space))[: arguments.workloads]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        runtime: Runtime = load(RUNTIMES[arguments.runtime].path)(folder / "compiled", Timing())
        store = Store(f"sqlite:///{folder / 'store.sqlite'}")
        profiler = Profiler(runtime, find("local", threads=1), 1, store)
        try:
            begin = time.perf_counter()
            spent = profiler.profile(programs, arguments.rounds, TerminalProgress())
            total_s = time.perf_counter() - begin
        finally:
            runtime.close()
        failures = store.table(profiler.configuration, "local", arguments.rounds).failures
    exported = {program.key: export_s(program) for program in programs}
    rows = {}
    for cost in spent:
        export = min(exported[cost.key], cost.compile_s)
        seconds = (export, cost.compile_s - export, cost.check_s, cost.time_s)
        rows[cost.key] = dict(zip(PARTS, seconds, strict=True)) | {"all": sum(seconds)}
    print("".join(f"{part:>9}" for part in (*PARTS, "all")) + "  seconds")
    for key, row in rows.items():
        print("".join(f"{row[part]:9.2f}" for part in (*PARTS, "all")) + f"  {key}")
    median = {part: float(np.median([r[part] for r in rows.values()])) for part in (*PARTS, "all")}
    print("".join(f"{median[part]:9.2f}" for part in (*PARTS, "all")) + "  median")
    print(f"{total_s / len(rows):9.2f} s per workload in all, goal {GOAL_S} s in the median")
    missed = [f"{key} could not be measured: {reason}" for key, reason in failures.items()]
    if median["all"] > GOAL_S:
        missed.append(f"a workload takes {median['all']:.2f} s in the median, not {GOAL_S} s")
    for line in missed:
        print(f"MISSED {line}")
    result = {
        "space": arguments.space,
        "runtime": arguments.runtime,
        "rounds": arguments.rounds,
        "median_s": median,
        "mean_of_all_s": total_s / len(rows),
        "n_failed": len(failures),
        "goal_s": GOAL_S,
        "workloads": rows,
    }
    write_result(arguments.json, result)
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
