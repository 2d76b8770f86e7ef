"""Exact fronts: how long they take, and how much of one NSGA-II finds.

- Once-for-all: the front of all 7371^5 networks of ofa-mobilenetv3 under `AdditiveAccuracy`, fitted
  to the accuracies that DyNAS-T's searches published, and the latency table of an i7-8700K, by a
  dynamic program; with multiply-adds and parameters as third and fourth objective as well; and the
  best accuracy under limits on all three by an integer program.
- What share of its hypervolume NSGA-II finds in 20,000 evaluations, mean over seeds with a 95 %
  interval (Student's t). Both predict alike, so the search alone makes the difference.
- Enumeration: 10^7 architectures (NAS-Bench-Macro's blocks in stages of 2, 8 and 9 layers) are
  predicted and filtered in a process of its own, whose peak of resident memory is told; and the
  same front by the dynamic program.
- The dynamic program against enumeration, to the last digit, on every layered space that has a
  name and is small enough, with random objectives and limits.

One thread. Times are medians of repeats with their range. Exits with 1 if a bar is missed.
"""

import multiprocessing
import os
import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from typing import TypeVar

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import numpy as np
from scipy.stats import t as student
from scripts import command_line, write_result

from tailorbird import spaces
from tailorbird.errors import InfeasibleError
from tailorbird.latency_tables import Configuration
from tailorbird.latency_tables.formats import foreign
from tailorbird.latency_tables.formats.imported import record_of
from tailorbird.predictors import AdditiveAccuracy, TableSum
from tailorbird.predictors.counted_costs import WorkloadSum
from tailorbird.published.data_folder import data_folder
from tailorbird.published.rows import published_rows
from tailorbird.search import (
    Constraint,
    Objective,
    Problem,
    best,
    enumerated_front,
    pareto_paths,
)
from tailorbird.search.algorithms.nsga2 import nsga2
from tailorbird.spaces import FloatArray, IntArray, SearchSpace
from tailorbird.spaces.chains import Chain, macro_mobilenetv2_layout

LATENCIES = "ofa_mbv3_lut_i7_8700k.csv.gz"
POPULATION, GENERATIONS = 200, 100
REPEATS = 5
LONGEST_OFA_SECONDS = 60.0
LONGEST_ENUMERATION_SECONDS, MOST_MIB = 30.0, 2048.0
DEPTHS = (2, 8, 9)
SMALL: dict[str, dict[str, object]] = {
    "cifar-resnet": {},
    "cifar-resnet, 3 stitches": {"max_stitches": 3},
    "deit-ti-s-b": {},
    "deit-ti-s-b, 3 stitches": {"max_stitches": 3},
    "deit-ti-s-b, both ways": {"stitches": "two-way", "max_stitches": 4},
    "deit3-s-l": {},
    "digits-resnet": {},
    "digits-resnet, both ways": {"pairs": "all", "max_stitches": 3},
    "efficientnet-lite-0-1-2": {},
    "macro-mobilenetv2": {},
    "resnet-18-50": {},
    "swin-ti-s-b": {},
}
T = TypeVar("T")


def timed(call: Callable[[], T]) -> tuple[T, FloatArray]:
    """What it gives, and the seconds of each repeat."""
    seconds = np.empty(REPEATS)
    for i in range(REPEATS):
        start = time.perf_counter()
        found = call()
        seconds[i] = time.perf_counter() - start
    return found, seconds


def told(seconds: FloatArray) -> str:
    return f"{np.median(seconds):8.2f} s ({seconds.min():.2f} to {seconds.max():.2f})"


def of_ofa() -> tuple[Objective, ...]:
    """Accuracy, latency, multiply-adds, parameters."""
    space = spaces.get("ofa-mobilenetv3")
    rows = published_rows(space, data_folder())
    accuracy = AdditiveAccuracy(space).fit(rows.X, rows.column("top1") / 100)
    stated = foreign.read(data_folder() / LATENCIES)
    configuration = Configuration.imported("i7-8700K", threads=1, batch=1)
    record = record_of(stated.stated, stated.provenance, configuration, space.name)
    return (
        Objective("accuracy", "", "max", accuracy),
        Objective("latency", "ms", "min", TableSum(space, record.table(1))),
        Objective("macs", "M", "min", WorkloadSum.mega_macs(space)),
        Objective("parameters", "M", "min", WorkloadSum.mega_params(space)),
    )


def random_objectives(
    space: SearchSpace, m: int, rng: np.random.Generator
) -> tuple[Objective, ...]:
    """To be as large, and then as small, as can be."""
    return tuple(
        Objective(
            f"f{i}",
            "",
            "min" if i else "max",
            WorkloadSum(space, rng.uniform(0.1, 1, len(space.workloads))),
        )
        for i in range(m)
    )


def ten_million() -> Problem:
    layout = macro_mobilenetv2_layout(1)
    stages = tuple(
        (first, *(second,) * (n - 1))
        for (first, second, *_), n in zip(layout.stages, DEPTHS, strict=True)
    )
    n_layers = sum(DEPTHS)
    space = Chain(
        replace(
            layout,
            name=f"macro-mobilenetv2(stages={DEPTHS})",
            stages=stages,
            layer_names=tuple(f"l{i}" for i in range(n_layers)),
            landmarks=np.repeat(np.arange(len(layout.choices)), n_layers).reshape(-1, n_layers),
        )
    )
    return Problem(space, random_objectives(space, 2, np.random.default_rng(0)))


def enumerate_ten_million() -> tuple[FloatArray, float, float]:
    """The front's objectives, seconds and MiB of this process at its peak."""
    start = time.perf_counter()
    front = enumerated_front(ten_million())
    seconds = time.perf_counter() - start
    return front.F, seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def is_equal_on(space: SearchSpace, X: IntArray, m: int, n_limits: int, seed: int) -> bool:
    """Whether both ways give one front, or both say that there is none."""
    rng = np.random.default_rng(seed)
    some = random_objectives(space, 3, rng)
    limits = []
    for one in (some[2], some[0])[:n_limits]:
        values = np.sort(one.sign * one.predictor.mean(X))
        limits.append(Constraint(one, one.sign * float(values[rng.integers(len(X) // 3, len(X))])))
    problem = Problem(space, some[:m], tuple(limits))
    found = []
    for method in (pareto_paths, enumerated_front):
        try:
            found.append(method(problem).F)
        except InfeasibleError:
            found.append(np.empty((0, m)))
    return np.array_equal(found[0], found[1])


def ofa(seeds: int) -> tuple[dict[str, object], list[str]]:
    start = time.perf_counter()
    objectives = of_ofa()
    fitted_seconds = time.perf_counter() - start
    space = spaces.get("ofa-mobilenetv3")
    problem = Problem(space, objectives[:2])
    front, seconds = timed(lambda: pareto_paths(problem))
    print(f"ofa-mobilenetv3, {space.size:.3g} networks (predictors: {fitted_seconds:.1f} s)")
    print(f"{'objectives':>12} {'on the front':>14} {'exact':>6}   time")
    print(f"{2:>12} {len(front):>14,} {front.exact!s:>6} {told(seconds)}")
    more = dict[str, dict[str, object]]()
    for m in (3, 4):
        start = time.perf_counter()
        wider = pareto_paths(Problem(space, objectives[:m]))
        taken = time.perf_counter() - start
        more[str(m)] = {"seconds": taken, "n_front": len(wider), "exact": wider.exact}
        print(f"{m:>12} {len(wider):>14,} {wider.exact!s:>6} {taken:8.2f} s")

    middle = len(front) // 2
    limits = [(one, float(one.predictor.mean(front.X[[middle]])[0])) for one in objectives[1:]]
    under = Problem(space, objectives[:1], tuple(Constraint(*limit) for limit in limits))
    network, milp_seconds = timed(lambda: best(under))
    same, dp_seconds = timed(lambda: pareto_paths(under))
    print(
        f"\nbest accuracy under {' and '.join(map(str, under.constraints))}:\n"
        f"  integer program {network.values[0, 0]:.6f} in {told(milp_seconds)}\n"
        f"  dynamic program {same.values[0, 0]:.6f} in {told(dp_seconds)}"
    )

    ref_point = problem.reference_point(seed=0)
    whole = front.hypervolume(ref_point)
    shares, search_seconds = np.empty(seeds), np.empty(seeds)
    for seed in range(seeds):
        start = time.perf_counter()
        found = nsga2(
            problem,
            population=POPULATION,
            generations=GENERATIONS,
            seed=seed,
            ref_point=ref_point,
        )
        search_seconds[seed] = time.perf_counter() - start
        shares[seed] = found.hypervolume(ref_point) / whole
    half = student.ppf(0.975, seeds - 1) * shares.std(ddof=1) / seeds**0.5 if seeds > 1 else np.nan
    print(
        f"\nhypervolume of the front of two, {seeds} seeds\n"
        f"  dynamic program  100.00 %            {np.median(seconds):8.2f} s\n"
        f"  NSGA-II, 20,000  {shares.mean():6.2%} ± {half:.2%}   {np.median(search_seconds):8.2f} s"
    )
    missed = []
    if np.median(seconds) > LONGEST_OFA_SECONDS:
        missed.append(f"ofa: {np.median(seconds):.1f} s > {LONGEST_OFA_SECONDS:g} s")
    if not front.exact:
        missed.append("ofa: the front is not exact")
    if abs(network.F[0, 0] - same.F[0, 0]) > 1e-9:
        missed.append(f"ofa: {network.F[0, 0]} by integers, {same.F[0, 0]} by the dynamic program")
    if shares.max() > 1 + 1e-9:
        missed.append(f"ofa: NSGA-II found {shares.max():.2%} of a front that is not exact then")
    return {
        "seconds": float(np.median(seconds)),
        "seconds_range": [float(seconds.min()), float(seconds.max())],
        "n_front": len(front),
        "more_objectives": more,
        "nsga2_share": {"mean": float(shares.mean()), "half_interval_95": float(half)},
        "nsga2_seconds": float(np.median(search_seconds)),
        "best_under_limits_seconds": {
            "integer_program": float(np.median(milp_seconds)),
            "dynamic_program": float(np.median(dp_seconds)),
        },
    }, missed


def enumeration() -> tuple[dict[str, object], list[str]]:
    spawned = multiprocessing.get_context("spawn")  # a fork would begin with our memory
    with ProcessPoolExecutor(1, mp_context=spawned) as pool:
        F, seconds, peak_mib = pool.submit(enumerate_ten_million).result()
    problem = ten_million()
    start = time.perf_counter()
    by_paths = pareto_paths(problem)
    paths_seconds = time.perf_counter() - start
    is_equal = np.array_equal(F, by_paths.F)
    print(
        f"\n{problem.space.name}, {problem.space.size:,} networks, {len(F)} on the front\n"
        f"  enumeration      {seconds:8.2f} s, {peak_mib:.0f} MiB at its peak\n"
        f"  dynamic program  {paths_seconds:8.2f} s, {'the same' if is_equal else 'ANOTHER'} front"
    )
    missed = []
    if seconds > LONGEST_ENUMERATION_SECONDS:
        missed.append(f"enumeration: {seconds:.1f} s > {LONGEST_ENUMERATION_SECONDS:g} s")
    if peak_mib > MOST_MIB:
        missed.append(f"enumeration: {peak_mib:.0f} MiB > {MOST_MIB:g} MiB")
    if not is_equal:
        missed.append("enumeration: the dynamic program has another front")
    return {
        "size": problem.space.size,
        "enumeration_seconds": seconds,
        "peak_mib": peak_mib,
        "dynamic_program_seconds": paths_seconds,
    }, missed


def small_spaces(seeds: int) -> tuple[dict[str, object], list[str]]:
    print(f"\n{'space':<28}{'networks':>10}   equal fronts (1 to 3 objectives, 0 to 2 limits)")
    found, missed = {}, []
    for label, settings in SMALL.items():
        space = spaces.get(label.partition(",")[0], **settings)
        X = np.vstack(list(space.enumerate()))
        cases = [(m, k, seed) for m in (1, 2, 3) for k in (0, 1, 2) for seed in range(seeds)]
        n_equal = sum(is_equal_on(space, X, *case) for case in cases)
        print(f"{label:<28}{space.size:>10,}   {n_equal} of {len(cases)}")
        found[label] = {"size": space.size, "n_equal": n_equal, "n": len(cases)}
        if n_equal < len(cases):
            missed.append(f"{label}: {len(cases) - n_equal} fronts differ from the enumerated ones")
    return {"equal_fronts": found}, missed


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    arguments = parser.parse_args()
    result: dict[str, object] = {}
    missed: list[str] = []
    for part, lines in (
        enumeration(),  # first: where processes tell the peak of whoever started them, ours is low
        ofa(arguments.seeds),
        small_spaces(arguments.seeds),
    ):
        result |= part
        missed += lines
    for line in missed:
        print(f"MISSED {line}")
    write_result(arguments.json, {**result, "missed": missed})
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
