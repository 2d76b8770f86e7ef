"""Our static schedule against TVM's default code and eager torch, per workload, one thread.

All three run interleaved in one process, on the workloads of `digits-resnet` in batches of 16.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", TVM_NUM_THREADS="1")  # before torch and TVM are loaded

import numpy as np
import torch
import tvm
from tvm import relax

from tailorbird import spaces
from tailorbird.latency_tables.device import find
from tailorbird.latency_tables.tvm.build import build_library
from tailorbird.latency_tables.tvm.importer import import_module
from tailorbird.latency_tables.tvm.target import llvm_cpu

ROUNDS = 7


def tvm_ms(machine: Any, x: np.ndarray) -> float:
    evaluate = machine.time_evaluator("main", tvm.cpu(), number=1, repeat=5, min_repeat_ms=5)
    return float(1e3 * np.median(evaluate(tvm.runtime.tensor(x)).results))


def torch_ms(module: torch.nn.Module, x: torch.Tensor) -> float:
    samples = []
    with torch.inference_mode():
        for _ in range(30):
            start = time.perf_counter()
            module(x)
            samples.append(time.perf_counter() - start)
    return 1e3 * statistics.median(samples)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    mcpu = llvm_cpu(find("local", threads=1).flags)
    rows: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for workload in spaces.get("digits-resnet", batch=16).workloads:
            module, x = workload.build().eval(), torch.randn(workload.inputs[0])
            path = Path(folder) / f"{len(rows)}.so"
            build_library(module, (x,), mcpu, path)
            static = relax.VirtualMachine(tvm.runtime.load_module(str(path)), tvm.cpu())
            target = tvm.target.Target({"kind": "llvm", "mcpu": mcpu, "num-cores": 1})
            default = relax.VirtualMachine(
                tvm.compile(import_module(module, (x,)), target), tvm.cpu()
            )
            last = np.ascontiguousarray(x.permute(0, 2, 3, 1).numpy())
            runs = [
                (tvm_ms(static, last), tvm_ms(default, last), torch_ms(module, x))
                for _ in range(ROUNDS)
            ]
            static_ms, default_ms, eager_ms = np.median(runs, axis=0)
            rows[workload.key] = {
                "static_ms": static_ms,
                "default_over_static": default_ms / static_ms,
                "torch_over_static": eager_ms / static_ms,
            }
            print(
                f"{workload.key:<42} {static_ms:9.4f} ms   default {default_ms / static_ms:6.1f}x"
                f"   torch {eager_ms / static_ms:6.1f}x",
                flush=True,
            )
    geomean = {
        name: statistics.geometric_mean(row[name] for row in rows.values())
        for name in ("default_over_static", "torch_over_static")
    }
    print(
        f"{'geometric mean':<42} {'':9}      default {geomean['default_over_static']:6.1f}x"
        f"   torch {geomean['torch_over_static']:6.1f}x"
    )
    if arguments.json:
        arguments.json.write_text(json.dumps({"rows": rows, "geomean": geomean}, indent=1) + "\n")


if __name__ == "__main__":
    main()
