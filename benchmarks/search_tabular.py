"""Evaluations until 95 and 99 % of the exact front's hypervolume, on spaces that are known whole.

NAS-Bench-201 (c10_test_12ep, and the latency column of each device), NAS-Bench-Macro (mean_acc and
published FLOPs), the 71 stitches of DeiT and the 134 of DeiT3 (published top-1 and FLOPs). Costs
are free to every competitor, accuracies are what counts. All begin with the same random networks.

Hypervolume lies between the exact front and a reference point: the median accuracy of the space,
where networks that are broken do not count, and the largest cost on the front and a tenth more.

Figures are means over seeds with 95 % intervals (Student's t); a run that does not get there within
its budget counts with the whole budget, and how many do get there stands beside it. Exits with 1 if
`guided` needs more evaluations than a competitor anywhere, beyond the intervals.
"""

import os
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import moocore
import numpy as np
from peers.linas import linas
from scipy.stats import t as student
from scripts import command_line, write_result

from tailorbird import spaces
from tailorbird.predictors import Prediction, accuracy_predictor
from tailorbird.progress import NoProgress
from tailorbird.published import snnet
from tailorbird.published.data_folder import data_folder
from tailorbird.published.rows import published_rows
from tailorbird.search import Objective, Problem
from tailorbird.search.algorithms.guided.guided import guided
from tailorbird.search.algorithms.guided.history import Unknown
from tailorbird.search.algorithms.nsga2 import nsga2
from tailorbird.search.algorithms.optuna_search import optuna_search
from tailorbird.search.algorithms.random_search import random_search
from tailorbird.search.algorithms.regularised_evolution import regularised_evolution
from tailorbird.spaces import FloatArray, IntArray
from tailorbird.spaces.stitching import StitchSpace

STITCHED = ("deit-ti-s-b", "deit3-s-l")
BUDGETS = {"nasbench201": 200, "macro-mobilenetv2": 200, "deit-ti-s-b": 71, "deit3-s-l": 134}
POPULATION, FEWER = 50, 10  # the latter where all of a space is little more
START, BATCH = 10, 5
MODEL = "process-places"
LEVELS = (0.95, 0.99)
LINAS_SEEDS = 2
LINAS_ON = ("deit-ti-s-b", "macro-mobilenetv2", "nasbench201 lat_ms_gold_6240")
"""LINAS takes a minute or more a run, so it has few."""


class Column:
    """Looks up what was published; keeps the networks it was asked for."""

    def __init__(self, X: IntArray, values: FloatArray) -> None:
        self.values = dict(zip(map(tuple, X.tolist()), values.tolist(), strict=True))
        self.asked: list[IntArray] = []

    def mean(self, X: IntArray) -> FloatArray:
        self.asked.append(X.copy())
        return np.array([self.values[tuple(row)] for row in X.tolist()])

    def predict(self, X: IntArray) -> Prediction:
        return Prediction(self.mean(X), np.zeros(len(X)))


@dataclass(frozen=True, eq=False)
class Table:
    """A space that is known whole.

    Attributes:
        problem: of published values.
        exact: hypervolume of its front.
        ref_point: that it refers to.
    """

    problem: Problem
    exact: float
    ref_point: FloatArray

    @property
    def accuracy(self) -> Column:
        found = self.problem.objectives[0].predictor
        assert isinstance(found, Column)
        return found


def names() -> list[str]:
    devices = published_rows(spaces.get("nasbench201"), data_folder()).devices
    return ["deit-ti-s-b", "deit3-s-l", "macro-mobilenetv2", *(f"nasbench201 {d}" for d in devices)]


@cache
def table(name: str) -> Table:
    family, _, device = name.partition(" ")
    space = spaces.get(family)
    if family in STITCHED:
        assert isinstance(space, StitchSpace)
        found = snnet.snnet(space, data_folder())
        X, accuracy, cost = found.X, found.accuracy, found.n_macs_published
    else:
        rows = published_rows(space, data_folder())
        X = rows.X
        accuracy = rows.column("mean_acc" if not device else "c10_test_12ep") / 100
        cost = rows.column(device or "flops")
    assert len(X) == space.size
    F = np.column_stack([-accuracy, cost])
    front = F[moocore.is_nondominated(F)]
    ref_point = np.array([np.median(F[:, 0]), front[:, 1].max() + 0.1 * np.ptp(front[:, 1])])
    objectives = (
        Objective("accuracy", "", "max", Column(X, accuracy)),
        Objective("cost", "", "min", Column(X, cost)),
    )
    volume = float(moocore.hypervolume(front, ref=ref_point))
    return Table(Problem(space, objectives), volume, ref_point)


def by_random(on: Table, start: IntArray, budget: int, seed: int) -> None:
    random_search(on.problem, n_evaluations=budget, seed=seed, start=start)


def by_evolution(on: Table, start: IntArray, budget: int, seed: int) -> None:
    regularised_evolution(
        on.problem,
        n_evaluations=budget,
        population=len(start),
        sample=max(2, len(start) // 4),
        seed=seed,
        start=start,
    )


def by_nsga2(on: Table, start: IntArray, budget: int, seed: int) -> None:
    # Of small spaces generations are small; those that bring nothing new are free.
    generations = 3 * budget // len(start) + 1
    nsga2(on.problem, population=len(start), generations=generations, seed=seed, start=start)


def by_tpe(on: Table, start: IntArray, budget: int, seed: int) -> None:
    optuna_search(on.problem, sampler="TPESampler", n_evaluations=budget, seed=seed, start=start)


def by_linas(on: Table, start: IntArray, budget: int, seed: int) -> None:
    cost = on.problem.objectives[1].predictor.mean
    linas(on.problem.space, on.accuracy.mean, cost, budget, len(start), seed, start)


def by_guided(on: Table, start: IntArray, budget: int, seed: int) -> None:
    space = on.problem.space
    learner = accuracy_predictor(MODEL, space)
    accuracy = Objective("accuracy", "", "max", learner)
    unknown = Unknown(accuracy, on.accuracy.mean)
    guided(
        Problem(space, (accuracy, on.problem.objectives[1])),
        [unknown],
        start=start[:START],
        n_evaluations=budget,
        batch=BATCH,
        seed=seed,
        ref_point=on.ref_point,
        progress=NoProgress(),
    )


COMPETITORS: dict[str, Callable[[Table, IntArray, int, int], None]] = {
    "random": by_random,
    "evolution": by_evolution,
    "nsga2": by_nsga2,
    "optuna-tpe": by_tpe,
    "linas": by_linas,
    "guided": by_guided,
}
Job = tuple[str, str, int]


def run(job: Job) -> list[int | None]:
    """Evaluations to each level; None where it was not reached."""
    import warnings

    warnings.simplefilter("ignore")  # of the peers
    name, competitor, seed = job
    on, budget = table(name), BUDGETS[name.partition(" ")[0]]
    space = on.problem.space
    drawn = space.sample(20 * POPULATION, np.random.default_rng([seed, 2]))
    _, first = np.unique(drawn, axis=0, return_index=True)
    start = drawn[np.sort(first)][: POPULATION if space.size > 1_000 else FEWER]
    on.accuracy.asked.clear()
    COMPETITORS[competitor](on, start, budget, seed)
    asked = np.vstack(on.accuracy.asked)
    _, first = np.unique(asked, axis=0, return_index=True)
    F = on.problem.minimised(asked[np.sort(first)][:budget])
    shares = [
        float(moocore.hypervolume(F[:n], ref=on.ref_point)) / on.exact for n in range(1, len(F) + 1)
    ]
    return [next((n for n, s in enumerate(shares, 1) if s >= level), None) for level in LEVELS]


def summary(reached: list[int | None], budget: int) -> dict[str, float]:
    counts = np.array([budget if n is None else n for n in reached], dtype=float)
    half = np.nan
    if len(counts) > 1:
        half = student.ppf(0.975, len(counts) - 1) * counts.std(ddof=1) / np.sqrt(len(counts))
    return {
        "mean": float(counts.mean()),
        "half_interval": float(half),
        "n_reached": sum(n is not None for n in reached),
        "n": len(reached),
    }


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    arguments = parser.parse_args()
    jobs: list[Job] = [
        (name, competitor, seed)
        for competitor in reversed(COMPETITORS)  # the slow ones first
        for name in names()
        for seed in range(arguments.seeds)
        if competitor != "linas" or (name in LINAS_ON and seed < LINAS_SEEDS)
    ]
    found: dict[Job, list[int | None]] = {}
    with ProcessPoolExecutor(2) as pool:
        for done, (job, reached) in enumerate(zip(jobs, pool.map(run, jobs), strict=True), start=1):
            found[job] = reached
            print(f"{done} of {len(jobs)} runs", end="\033[K\r", flush=True, file=sys.stderr)
    results: dict[str, object] = {"seeds": arguments.seeds}
    missed = []
    print(f"{'evaluations to 95 / 99 %':<34}" + "".join(f"{c:>22}" for c in COMPETITORS))
    for name in names():
        budget = BUDGETS[name.partition(" ")[0]]
        figures = {
            competitor: {
                f"evaluations_to_{round(100 * level)}": summary(
                    [r[i] for (n, c, _), r in found.items() if (n, c) == (name, competitor)], budget
                )
                for i, level in enumerate(LEVELS)
            }
            for competitor in COMPETITORS
            if competitor != "linas" or name in LINAS_ON
        }
        results[name] = figures
        cells = [
            " /".join(
                f"{s['mean']:5.0f}{'+' * (s['n_reached'] < s['n'])}±{s['half_interval']:.0f}"
                for s in levels.values()
            )
            if (levels := figures.get(competitor)) is not None
            else "-"
            for competitor in COMPETITORS
        ]
        print(f"{name:<34}" + "".join(f"{cell:>22}" for cell in cells))
        for key, ours in figures["guided"].items():
            for competitor, theirs in figures.items():
                other = theirs[key]
                if ours["mean"] - ours["half_interval"] > other["mean"] + other["half_interval"]:
                    missed.append(f"{name}: {competitor} needs {other['mean']:.0f} {key}")
    print("+: some runs did not get there, and count with their whole budget")
    for line in missed:
        print(f"MISSED {line}")
    write_result(arguments.json, {**results, "missed": missed})
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
