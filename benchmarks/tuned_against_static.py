"""Kernels under tuned plans against the static rule, onnxruntime and the arithmetic limit.

Tasks are those of deit-ti-s-b for one image and of digits-resnet for 16, one thread. First they are
tuned, weakest first; then all that were kept are timed anew. Static, tuned and onnxruntime take
turns in one process on one core, the best sample of a round counts, and the median of the rounds'
ratios is shown; ours lie somewhere else in memory every few rounds. Weights take turns with copies
of themselves, so that they are as cold as in a network; onnxruntime takes turns with sessions. Its
convolutions take NCHW, whose conversion inside counts. The limit is that of the multiply-adds asked
for, at the peak that a loop of them reaches.

Exit code 1 if tuned is slower than static anywhere, if nothing was tuned, or if all
took over one CPU hour, which is not known of a tuning that is resumed.
"""

import math
import os
import resource
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", TVM_NUM_THREADS="1")  # before TVM is loaded

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from scripts import command_line, write_result

from tailorbird import spaces
from tailorbird.latency_tables import Program
from tailorbird.latency_tables.devices.device import find
from tailorbird.latency_tables.runtimes.tvm.target import llvm_target, vector_unit
from tailorbird.latency_tables.runtimes.tvm.tuning.database import TaskFolder
from tailorbird.latency_tables.runtimes.tvm.tuning.kernel_bench import KernelBench, clock_of, sample
from tailorbird.latency_tables.runtimes.tvm.tuning.peak import macs_per_second
from tailorbird.latency_tables.runtimes.tvm.tuning.tuning import Tuning
from tailorbird.progress import TerminalProgress

SPACES = (("digits-resnet", 16, 0.3), ("deit-ti-s-b", 1, 0.7))  # and shares of the time
N_TRIALS = 64
PLACEMENTS = 4
ROUNDS = 4  # of each placement
SAMPLES = 6  # of a round
SAMPLE_S = 0.003
CPU_HOUR_S = 3600.0
COLD_BYTES = 1 << 26
MOST_SESSIONS = 64

Shape = tuple[int, ...]


def onnx_calls(name: str) -> list[Callable[[], object]] | None:
    """The same computation in onnxruntime, a call for each copy of its weights; None if unknown."""
    blocks, _, rest = name.partition("(")
    shapes = [tuple(map(int, text.split("x"))) for text in rest.rstrip(")").split(", ")]
    graph = _graph(blocks.split("+"), shapes)
    if graph is None:
        return None
    inputs, nodes, weights = graph
    outputs = [helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, None)]
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "task",
            [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in inputs.items()],
            outputs,
            [numpy_helper.from_array(array, n) for n, array in weights.items()],
        ),
        opset_imports=[helper.make_opsetid("", 20)],
        ir_version=10,
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    size = sum(array.nbytes for array in weights.values())
    n_copies = min(math.ceil(COLD_BYTES / size), MOST_SESSIONS) if size else 1
    given = {n: np.ones(s, dtype=np.float32) for n, s in inputs.items()}
    return [_bound(model.SerializeToString(), options, given) for _ in range(n_copies)]


def _bound(model: bytes, options: Any, given: dict[str, np.ndarray]) -> Callable[[], object]:
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    for name, array in given.items():
        binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(array))
    (y,) = session.run(None, given)
    taken = onnxruntime.OrtValue.ortvalue_from_numpy(y)
    binding.bind_ortvalue_output(session.get_outputs()[0].name, taken)
    # The public method checks its arguments in Python, which small tasks would show.
    return lambda: session._sess.run_with_iobinding(binding._iobinding, None)


def _graph(
    blocks: Sequence[str], shapes: Sequence[Shape]
) -> tuple[dict[str, Shape], list[Any], dict[str, np.ndarray]] | None:
    """Inputs, nodes and weights, from names of fused blocks and the shapes of their arguments."""
    rng = np.random.default_rng(0)
    x, w, *others, y = shapes
    inputs, nodes, weights = {"x": x}, [], {}
    if blocks == ["matmul"]:
        return {"x": x, "w": w}, [helper.make_node("MatMul", ["x", "w"], ["y"])], {}
    if "contraction" not in blocks or not others:
        return None
    channels = y[-1]
    if len(w) == 3:
        weights["w"] = rng.standard_normal((x[-1], channels), dtype=np.float32)
        weights["b"] = rng.standard_normal(channels, dtype=np.float32)
        nodes.append(helper.make_node("MatMul", ["x", "w"], ["product"]))
        nodes.append(helper.make_node("Add", ["product", "b"], ["y0"]))
    elif len(w) == 5:
        _, kh, kw, c, _ = w
        stride = x[1] // y[1]
        pads = [(kh - 1) // 2] * 4 if stride == 1 else [0] * 4
        inputs["x"] = (x[0], c, x[1], x[2])
        weights["w"] = rng.standard_normal((channels, c, kh, kw), dtype=np.float32)
        weights["b"] = rng.standard_normal(channels, dtype=np.float32)
        nodes.append(
            helper.make_node("Conv", ["x", "w", "b"], ["y0"], strides=[stride] * 2, pads=pads)
        )
    else:
        return None
    after = blocks[blocks.index("contraction") + 1 :]
    if "T_add1" in after:
        inputs["r"] = y if len(w) == 3 else (y[0], y[3], y[1], y[2])
        nodes.append(helper.make_node("Add", [nodes[-1].output[0], "r"], ["y1"]))
    if "gelu" in after:
        nodes.append(helper.make_node("Gelu", [nodes[-1].output[0]], ["y2"]))
    elif "compute" in after:
        nodes.append(helper.make_node("Relu", [nodes[-1].output[0]], ["y2"]))
    return inputs, nodes, weights


def tuned(folder: Path, device: Any, minutes: float) -> Iterator[tuple[str, TaskFolder]]:
    """Tunes, and gives the tasks of each space."""
    for name, batch, share in SPACES:
        settings = {"batch": batch} if batch > 1 else {}
        workloads = spaces.get(name, **settings).workloads
        keys = tuple(workload.key for workload in workloads)
        tuning = Tuning(folder, device, keys, N_TRIALS, minutes * share)
        programs = [Program.of(workload) for workload in workloads]
        tuning.run(programs, TerminalProgress())
        for task in tuning.task_folders(programs):
            yield name, task


def compare(folder: TaskFolder, llvm: Any, unit: Any) -> dict[str, Any]:
    bench = KernelBench(folder, llvm, unit, 1)
    verdict, name = folder.verdict(), folder.task["name"]
    plan = verdict.plan if verdict else None
    if plan is not None:
        bench.build(plan)
        bench.compare()
    theirs = onnx_calls(name)
    clock = clock_of(threads=1)
    rounds = []
    for _ in range(PLACEMENTS):
        bench.move()
        kernels = bench.static, *([bench.planned] if plan else []), *([theirs] if theirs else [])
        turns = [cycle(calls) for calls in kernels]
        for turn in turns:
            sample(turn, SAMPLE_S, clock)
        for _ in range(ROUNDS):
            best = [math.inf] * len(turns)
            for number in range(SAMPLES):
                order = range(len(turns)) if number % 2 == 0 else range(len(turns) - 1, -1, -1)
                for which in order:
                    best[which] = min(best[which], sample(turns[which], SAMPLE_S, clock))
            rounds.append(best)
    seconds = np.array(rounds)
    ours = seconds[:, 1 if plan else 0]
    return {
        "name": name,
        "n_trials": verdict.n_trials if verdict else 0,
        "plan": plan.fields if plan else None,
        "static_us": 1e6 * float(np.median(seconds[:, 0])),
        "tuned_us": 1e6 * float(np.median(ours)),
        "tuned_over_static": float(np.median(ours / seconds[:, 0])) if plan else 1.0,
        "onnxruntime_us": 1e6 * float(np.median(seconds[:, -1])) if theirs else None,
        "tuned_over_onnxruntime": float(np.median(ours / seconds[:, -1])) if theirs else None,
        "n_macs": folder.task["n_macs"],
    }


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--minutes", type=float, default=45.0, help="of tuning")
    parser.add_argument("--folder", type=Path, help="where tuning is kept, and resumed from")
    arguments = parser.parse_args()
    is_resumed = arguments.folder is not None and any(arguments.folder.glob("*"))
    device = find("local", threads=1)
    llvm, unit = llvm_target(device.target), vector_unit(device.target)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        tasks = list(tuned(folder, device, arguments.minutes))
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
        peak = macs_per_second(llvm, unit)
        print(f"{device.cpu}, {device.target}; peak {peak / 1e9:.1f} G multiply-adds per second")
        print(f"{'static':>10}{'tuned':>10}{'ORT':>10}{'limit':>10} us  tuned over: static    ORT")
        for space, task in tasks:
            row = compare(task, llvm, unit) | {"space": space}
            row["limit_us"] = 1e6 * row["n_macs"] / peak
            rows.append(row)
            ort_us, over = row["onnxruntime_us"], row["tuned_over_onnxruntime"]
            print(
                f"{row['static_us']:10.2f}{row['tuned_us']:10.2f}"
                f"{f'{ort_us:10.2f}' if ort_us else '         -'}{row['limit_us']:10.2f}"
                f"{row['tuned_over_static']:22.3f}{f'{over:7.2f}' if over else '      -'}"
                f"  {row['name']}",
                flush=True,
            )
    spent_s = sum(
        sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    against = [row["tuned_over_onnxruntime"] for row in rows if row["tuned_over_onnxruntime"]]
    ratios = [row["tuned_over_static"] for row in rows]
    kept = [row["tuned_over_static"] for row in rows if row["plan"]]
    summary = {
        "n_tasks": len(rows),
        "n_reached": sum(row["n_trials"] > 0 for row in rows),
        "n_kept": len(kept),
        "geomean_tuned_over_static": statistics.geometric_mean(ratios),
        "geomean_of_kept": statistics.geometric_mean(kept) if kept else 1.0,
        "worst_tuned_over_static": max(ratios),
        "geomean_tuned_over_onnxruntime": statistics.geometric_mean(against),
        "geomean_static_over_limit": statistics.geometric_mean(
            row["static_us"] / row["limit_us"] for row in rows
        ),
        "geomean_tuned_over_limit": statistics.geometric_mean(
            row["tuned_us"] / row["limit_us"] for row in rows
        ),
        "cpu_minutes": spent_s / 60,
        "is_resumed": is_resumed,
    }
    for key, value in summary.items():
        print(f"{key:<32} {value:.4g}")
    facts = {
        "cpu": device.cpu,
        "target": str(device.target),
        "peak_gmacs": peak / 1e9,
        "onnxruntime": onnxruntime.__version__,
        "minutes": arguments.minutes,
    }
    write_result(arguments.json, summary | facts | {"rows": rows})
    missed = []
    if not kept:
        missed.append("MISSED no kernel was tuned")
    if slower := [row["name"] for row in rows if row["tuned_us"] > row["static_us"]]:
        missed.append(f"MISSED slower than static in the medians: {', '.join(slower)}")
    if is_resumed:
        missed.append("MISSED the minutes of what was tuned before are not counted")
    if max(ratios) > 1:
        missed.append(f"MISSED a tuned kernel takes {max(ratios):.3f} of static")
    if spent_s > CPU_HOUR_S:
        missed.append(f"MISSED all took {spent_s / 60:.0f} CPU minutes")
    if missed:
        sys.exit("\n".join(missed))


if __name__ == "__main__":
    main()
