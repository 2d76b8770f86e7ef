"""Hypervolume against true evaluations on Once-for-all, for guided search and its peers.

Truth is a model: accuracies of ofa-mobilenetv3 by gradient boosting (and, as a second truth, by a
Gaussian process) that is fitted once, with a fixed seed, to the 1,722 networks that DyNAS-T's
searches evaluated. The searches see its answers only. Latency is summed from the i7-8700K table and
is free to every competitor. All begin with the same random networks: as many of the first 50 as
they take for a start. An evaluation is a network whose accuracy is asked for; asking again is free.

Competitors: random search; NSGA-II with a population of 50; Optuna's TPE and NSGA-II; LINAS as in
DyNAS-T 1.6.0, see peers/linas.py; thirty plain lines of ridge regression and inner NSGA-II; and
`guided`. Hypervolume lies between the worst and the best corner that are written here, over the
area between them. The best that is known is the front of every network that any of the runs saw,
long runs of NSGA-II included.

Figures are means over seeds with 95 % intervals (Student's t); LINAS has three seeds. Exits with 1
if a bar is missed.
"""

import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import cache

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import moocore
import numpy as np
from peers.linas import linas
from peers.thirty_lines import thirty_lines
from scipy.stats import t as student
from scripts import command_line, write_result
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import Matern, WhiteKernel

from tailorbird import spaces
from tailorbird.latency_tables import Configuration
from tailorbird.latency_tables.formats.imported import Stated, record_of
from tailorbird.predictors import Prediction, Predictor, TableSum, accuracy_predictor
from tailorbird.progress import NoProgress
from tailorbird.published import ofa_latencies
from tailorbird.published.data_folder import data_folder
from tailorbird.published.rows import published_rows
from tailorbird.search import Objective, Problem
from tailorbird.search.algorithms.guided.guided import guided
from tailorbird.search.algorithms.guided.history import Unknown
from tailorbird.search.algorithms.nsga2 import nsga2
from tailorbird.search.algorithms.optuna_search import optuna_search
from tailorbird.search.algorithms.random_search import random_search
from tailorbird.spaces import FloatArray, IntArray
from tailorbird.storage.foreign import csv_sheet

SPACE = spaces.get("ofa-mobilenetv3")
WORST, BEST = np.array([-0.707, 36.3]), np.array([-0.78, 6.7])
"""Corners, as (minus accuracy, ms): about the smallest network's accuracy and the largest's
latency, and a little beyond the best accuracy and the smallest network's latency."""
BUDGET = 540
POPULATION = 50
START, BATCH = 10, 5  # of guided search
MODEL = "process-places"
LINAS_SEEDS = 3  # at most; it takes minutes a run
LONG_RUNS, LONG_POPULATION, LONG_GENERATIONS = 4, 200, 300
SHOWN = (50, 60, 80, 100, 150, 200, 255, 350, 540)
TRUTHS = ("boosting", "process")
GOAL_EVALUATIONS, GOAL_SHARE, AT = 60, 0.97, 255


def genes(X: IntArray) -> FloatArray:
    """Depths, and kernel and expansion of each slot, 0 where it is not used."""
    stages = X.reshape(len(X), 5, 9)
    depth = stages[:, :, 0]
    used = np.arange(4) < depth[:, :, None] + 2
    kernel, expand = (np.where(used, stages[:, :, i::2] + 1, 0) for i in (1, 2))
    parts = depth, kernel.reshape(len(X), -1), expand.reshape(len(X), -1)
    return np.hstack(parts).astype(np.float64)


def one_hot(X: IntArray) -> FloatArray:
    found = genes(X)
    return np.hstack([found[:, [i]] == np.arange(4) for i in range(found.shape[1])]).astype(float)


def boosting() -> GradientBoostingRegressor:
    return GradientBoostingRegressor(
        n_estimators=1000,
        max_depth=3,
        learning_rate=0.05,
        subsample=0.5,
        max_features=0.3,
        random_state=0,
    )


def process() -> GaussianProcessRegressor:
    # The kernel that the likelihood chose for these networks, fixed here.
    kernel = 3.2**2 * Matern(78.0, nu=1.5) + WhiteKernel(9e-5)
    return GaussianProcessRegressor(kernel, normalize_y=True, optimizer=None)


class Truth:
    """A fitted model that keeps the networks it was asked for, in order."""

    def __init__(self, name: str) -> None:
        rows = published_rows(SPACE, data_folder())
        X, y = rows.X, rows.column("top1") / 100
        make, self.features = {"boosting": (boosting, genes), "process": (process, one_hot)}[name]
        held_out = np.random.default_rng(0).permutation(len(y))[: len(y) // 4]
        rest = np.setdiff1d(np.arange(len(y)), held_out)
        tried = make().fit(self.features(X[rest]), y[rest])
        error = tried.predict(self.features(X[held_out])) - y[held_out]
        self.held_out_rmse = float(np.sqrt(np.mean(error**2)))
        self.model = make().fit(self.features(X), y)
        self.asked: list[IntArray] = []

    def mean(self, X: IntArray) -> FloatArray:
        self.asked.append(X.copy())
        chunks = np.array_split(X, 1 + len(X) // 4096)
        return np.concatenate([self.model.predict(self.features(chunk)) for chunk in chunks])

    def predict(self, X: IntArray) -> Prediction:
        return Prediction(self.mean(X), np.zeros(len(X)))


@cache
def latency() -> TableSum:
    """By the published table."""
    lines = csv_sheet.read(data_folder() / "ofa_mbv3_lut_i7_8700k.csv.gz").rows
    stated = [
        Stated(ofa_latencies.workload(row).key, float(row["mean"]), float(row["var"]) ** 0.5, line)
        for line, row in lines.items()
    ]
    configuration = Configuration.imported("i7-8700K", threads=1, batch=ofa_latencies.BATCH)
    record = record_of(stated, ofa_latencies.SOURCE, configuration, SPACE.name)
    return TableSum(SPACE, record.table(1))


@cache
def truth(name: str) -> Truth:
    return Truth(name)


def problem(accuracy: Predictor) -> Problem:
    return Problem(
        SPACE,
        (
            Objective("accuracy", "", "max", accuracy),
            Objective("latency", "ms", "min", latency()),
        ),
    )


def by_random(known: Truth, start: IntArray, seed: int) -> None:
    random_search(problem(known), n_evaluations=BUDGET, seed=seed, start=start)


def by_nsga2(known: Truth, start: IntArray, seed: int) -> None:
    generations = BUDGET // POPULATION + 1
    nsga2(problem(known), population=POPULATION, generations=generations, seed=seed, start=start)


def by_tpe(known: Truth, start: IntArray, seed: int) -> None:
    asked = problem(known)
    optuna_search(asked, sampler="TPESampler", n_evaluations=BUDGET, seed=seed, start=start)


def by_optuna_nsga2(known: Truth, start: IntArray, seed: int) -> None:
    asked = problem(known)
    optuna_search(asked, sampler="NSGAIISampler", n_evaluations=BUDGET, seed=seed, start=start)


def by_linas(known: Truth, start: IntArray, seed: int) -> None:
    linas(SPACE, known.mean, latency().mean, BUDGET, POPULATION, seed, start)


def by_thirty_lines(known: Truth, start: IntArray, seed: int) -> None:
    thirty_lines(problem(known), start[:30], BUDGET, seed)


def by_guided(known: Truth, start: IntArray, seed: int) -> None:
    learner = accuracy_predictor(MODEL, SPACE)
    asked = problem(learner)
    unknown = Unknown(asked.objectives[0], known.mean)
    guided(
        asked,
        [unknown],
        start=start[:START],
        n_evaluations=BUDGET,
        batch=BATCH,
        seed=seed,
        progress=NoProgress(),
    )


COMPETITORS: dict[str, Callable[[Truth, IntArray, int], None]] = {
    "guided": by_guided,
    "linas": by_linas,
    "optuna-tpe": by_tpe,
    "thirty-lines": by_thirty_lines,
    "optuna-nsga2": by_optuna_nsga2,
    "nsga2": by_nsga2,
    "random": by_random,
}
Job = tuple[str, str, int]


def hypervolume(F: FloatArray) -> float:
    return float(moocore.hypervolume(F, ref=WORST) / np.prod(WORST - BEST))


def run(job: Job) -> tuple[list[float], FloatArray, float]:
    """Hypervolume after each evaluation, the front of what was seen, and seconds."""
    import warnings

    warnings.simplefilter("ignore")  # of the peers: experimental samplers, slow convergence
    name, competitor, seed = job
    known = truth(name)
    known.asked.clear()
    start = SPACE.sample(POPULATION, np.random.default_rng([seed, 2]))
    begun = time.perf_counter()
    COMPETITORS[competitor](known, start, seed)
    seconds = time.perf_counter() - begun
    asked = np.vstack(known.asked)
    _, first = np.unique(asked, axis=0, return_index=True)
    F = problem(known).minimised(asked[np.sort(first)][:BUDGET])
    curve = [hypervolume(F[:n]) for n in range(1, len(F) + 1)]
    curve += [curve[-1]] * (BUDGET - len(curve))
    return curve, F[moocore.is_nondominated(F)], seconds


def long_run(job: tuple[str, int]) -> FloatArray:
    """What NSGA-II finds when evaluations cost nothing."""
    name, seed = job
    found = nsga2(
        problem(truth(name)), population=LONG_POPULATION, generations=LONG_GENERATIONS, seed=seed
    )
    return found.F


def interval(values: FloatArray) -> float:
    """Half of the 95 % interval of the mean over the first axis."""
    n = len(values)
    return float(student.ppf(0.975, n - 1) * values.std(ddof=1) / np.sqrt(n)) if n > 1 else np.nan


def first_reaching(curve: FloatArray, level: float) -> int | None:
    reached = np.flatnonzero(curve >= level)
    return int(reached[0]) + 1 if len(reached) else None


def report(
    name: str,
    curves: dict[str, FloatArray],
    best_known: float,
    seconds: dict[str, float],
) -> tuple[dict[str, object], list[str]]:
    """Prints the figures of one truth; returns them, and the bars that were missed."""
    level = float(curves["nsga2"][:, -1].mean())
    print(
        f"\n{name}: held-out RMSE {100 * truth(name).held_out_rmse:.3f} points of top-1; ", end=""
    )
    print(f"best known hypervolume {best_known:.4f}; NSGA-II at {BUDGET}: {level:.4f}")
    print(f"{'':<14}" + "".join(f"{n:>14}" for n in SHOWN) + f"{'reaches':>9}{'seconds':>9}")
    figures: dict[str, object] = {}
    for competitor, all_seeds in curves.items():
        mean = all_seeds.mean(axis=0)
        shown = {n: (float(mean[n - 1]), interval(all_seeds[:, n - 1])) for n in SHOWN}
        reached = first_reaching(mean, level)
        each = [first_reaching(curve, level) for curve in all_seeds]
        print(
            f"{competitor:<14}" + "".join(f"{m:>8.4f}±{h:.3f}" for m, h in shown.values()), end=""
        )
        print(f"{reached or '-':>9}{seconds[competitor]:>9.1f}")
        figures[competitor] = {
            "curve": {str(n): {"mean": m, "half_interval": h} for n, (m, h) in shown.items()},
            "evaluations_to_nsga2_540": reached,
            "evaluations_to_nsga2_540_each": each,
            f"share_of_best_known_at_{AT}": float(mean[AT - 1] / best_known),
            "seconds": seconds[competitor],
            "seeds": len(all_seeds),
        }
    share = float(curves["guided"].mean(axis=0)[AT - 1] / best_known)
    reached = first_reaching(curves["guided"].mean(axis=0), level)
    half = interval(curves["guided"][:, AT - 1]) / best_known
    print(f"guided reaches NSGA-II at {BUDGET} with {reached} evaluations, and ", end="")
    print(f"{share:.4f}±{half:.4f} of the best known at {AT}")
    missed = []
    if reached is None or reached > GOAL_EVALUATIONS:
        missed.append(f"{name}: {reached} > {GOAL_EVALUATIONS} evaluations to NSGA-II's level")
    if share < GOAL_SHARE:
        missed.append(f"{name}: {share:.4f} < {GOAL_SHARE} of the best known at {AT}")
    return {
        "held_out_rmse": truth(name).held_out_rmse,
        "best_known": best_known,
        "nsga2_540": level,
        "evaluations_to_nsga2_540": reached,
        f"share_of_best_known_at_{AT}": share,
        "curves": figures,
    }, missed


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    arguments = parser.parse_args()
    seeds = {"linas": range(min(arguments.seeds, LINAS_SEEDS))}
    jobs: list[Job] = [
        (name, competitor, seed)
        for competitor in COMPETITORS
        for name in TRUTHS
        for seed in seeds.get(competitor, range(arguments.seeds))
    ]
    found = {}
    with ProcessPoolExecutor(2) as pool:
        long = [(name, seed) for name in TRUTHS for seed in range(LONG_RUNS)]
        fronts = {name: [np.empty((0, 2))] for name in TRUTHS}
        for (name, _), front in zip(long, pool.map(long_run, long), strict=True):
            fronts[name].append(front)
        for done, (job, result) in enumerate(zip(jobs, pool.map(run, jobs), strict=True), start=1):
            found[job] = result
            fronts[job[0]].append(result[1])
            print(f"{done} of {len(jobs)} runs", end="\033[K\r", flush=True, file=sys.stderr)
    results: dict[str, object] = {"seeds": arguments.seeds, "start": START, "batch": BATCH}
    missed = []
    for name in TRUTHS:
        runs = {c: [r for job, r in found.items() if job[:2] == (name, c)] for c in COMPETITORS}
        curves = {c: np.array([curve for curve, _, _ in each]) for c, each in runs.items()}
        seconds = {c: float(np.mean([s for _, _, s in each])) for c, each in runs.items()}
        figures, wrong = report(name, curves, hypervolume(np.vstack(fronts[name])), seconds)
        results[name] = figures
        missed += wrong
    for line in missed:
        print(f"MISSED {line}")
    write_result(arguments.json, {**results, "missed": missed})
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
