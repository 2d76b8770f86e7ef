"""Seconds that searches themselves take, when evaluations cost next to nothing.

First, our NSGA-II beside pymoo's NSGA2: the same problem, operators, tournament, survival, first
generation and elimination of duplicates. The space is ofa-mobilenetv3, latency is summed from the
i7-8700K table, and accuracy is a made-up sum over the graph. Both run in turns, in one thread;
ratios are of CPU seconds and paired, and given as the median and the range over seeds. Final
hypervolume must be equal within noise: the 95 % interval (Student's t) of the paired difference may
not lie below 0.

Second, a guided search of 200 evaluations that cost nothing beside LINAS of DyNAS-T 1.6.0 with a
population of 50 on the same toy trade-off (peers/toy.py), in wall seconds: under an interpreter
that can import dynast, named by --dynast, or else as it was written again in peers/linas.py. That
is several times as fast, since it predicts whole populations at once, so that it has no bar, and
`linas_overhead_ratio` is null.

Exits with 1 if a bar is missed.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import moocore
import numpy as np
from numpy.typing import NDArray
from peers import toy
from peers.linas import linas
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.crossover import Crossover
from pymoo.core.duplicate import DuplicateElimination
from pymoo.core.mutation import Mutation as PymooMutation
from pymoo.core.population import Population
from pymoo.termination.max_gen import MaximumGenerationTermination
from scipy.stats import t as student
from scripts import command_line, write_result

from tailorbird import spaces
from tailorbird.latency_tables import Configuration
from tailorbird.latency_tables.formats import foreign
from tailorbird.latency_tables.formats.imported import record_of
from tailorbird.predictors import Prediction, TableSum, accuracy_predictor
from tailorbird.progress import NoProgress
from tailorbird.published.data_folder import data_folder
from tailorbird.search import Objective, Problem
from tailorbird.search.algorithms.guided.guided import guided
from tailorbird.search.algorithms.guided.history import Unknown
from tailorbird.search.algorithms.nsga2 import SpaceProblem, evolve
from tailorbird.search.algorithms.survival import distinct
from tailorbird.search.algorithms.variation import Mutation, crossover, linkage
from tailorbird.search.archive import Archive
from tailorbird.spaces import FloatArray, IntArray
from tailorbird.spaces.path_sum import adder

SPACE = spaces.get("ofa-mobilenetv3")
RUNS = ((50, 200), (200, 100), (1000, 40))
"""Population and generations."""
AT_POPULATION, SPEED_UP = 200, 4.0
EVALUATIONS, POPULATION, OVERHEAD = 200, 50, 0.2
LINAS_SEEDS = 3
START, BATCH, MODEL = 10, 5, "process-places"  # of guided search, as in search_ofa.py


@dataclass(frozen=True)
class Free:
    """A predictor that is a function."""

    mean: Callable[[IntArray], FloatArray]

    def predict(self, X: IntArray) -> Prediction:
        return Prediction(self.mean(X), np.zeros(len(X)))


def additive() -> Problem:
    """Latency by the table, and a made-up accuracy."""
    table = foreign.read(data_folder() / "ofa_mbv3_lut_i7_8700k.csv.gz")
    configuration = Configuration.imported("i7-8700K", threads=1, batch=1)
    record = record_of(table.stated, table.provenance, configuration, SPACE.name)
    latency = TableSum(SPACE, record.table(1))
    # The more a workload costs the better it is, but not in proportion.
    chance = np.random.default_rng(0).uniform(0.5, 1.5, len(SPACE.workloads))
    worth = adder(SPACE, chance * np.sqrt(np.maximum(latency.added_ms, 0.0)))
    return Problem(
        SPACE,
        (
            Objective("accuracy", "", "max", Free(worth)),
            Objective("latency", "ms", "min", latency),
        ),
    )


class StockCrossover(Crossover):  # type: ignore[misc]  # pymoo is untyped
    def __init__(self) -> None:
        super().__init__(n_parents=2, n_offsprings=2, prob=1.0)  # whether they cross is drawn below
        self.linkage = linkage(SPACE)

    def _do(self, problem: Any, X: IntArray, random_state: Any, **_: Any) -> IntArray:
        return np.stack(crossover(X[0], X[1], self.linkage, random_state))


class StockDuplicates(DuplicateElimination):  # type: ignore[misc]  # pymoo is untyped
    def _do(
        self, pop: Population, other: Population | None, is_duplicate: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        X = pop.get("X")
        is_duplicate[:] = True
        is_duplicate[distinct(X, known=X[:0] if other is None else other.get("X"))] = False
        return is_duplicate


class StockMutation(PymooMutation):  # type: ignore[misc]  # pymoo is untyped
    def __init__(self) -> None:
        super().__init__(prob=1.0)
        self.mutation = Mutation(SPACE)

    def _do(self, problem: Any, X: IntArray, random_state: Any, **_: Any) -> IntArray:
        return self.mutation(SPACE.repair(X), random_state)


def ours(asked: Problem, start: IntArray, generations: int, seed: int) -> Archive:
    archive = Archive(asked)
    evolve(asked, start=start, generations=generations, seed=seed, archive=archive)
    return archive


def stock(asked: Problem, start: IntArray, generations: int, seed: int) -> Archive:
    archive = Archive(asked)
    algorithm = NSGA2(
        pop_size=len(start),
        sampling=start,
        crossover=StockCrossover(),
        mutation=StockMutation(),
        eliminate_duplicates=StockDuplicates(),
    )
    algorithm.setup(
        SpaceProblem(asked, archive),
        termination=MaximumGenerationTermination(generations),
        seed=seed,
    )
    while algorithm.has_next():
        algorithm.next()
    return archive


def compare(asked: Problem, population: int, generations: int, seeds: int) -> dict[str, Any]:
    """Both, in turns; rates, their ratio, and final hypervolumes."""
    ref_point = asked.reference_point(seed=0)
    seconds, volumes = np.empty((seeds, 2)), np.empty((seeds, 2))
    ways = (ours, stock)
    for seed in range(seeds):
        start = SPACE.sample(population, np.random.default_rng(seed))
        for way in (0, 1) if seed % 2 else (1, 0):
            began = time.process_time()
            archive = ways[way](asked, start, generations, seed)
            seconds[seed, way] = time.process_time() - began
            volumes[seed, way] = archive.hypervolume(ref_point)
    speed_up = seconds[:, 1] / seconds[:, 0]
    difference = (volumes[:, 0] / volumes[:, 1] - 1).tolist()
    return {
        "population": population,
        "generations": generations,
        "evaluations_per_s": (population * generations / np.median(seconds, axis=0)).tolist(),
        "speedup": float(np.median(speed_up)),
        "speedup_range": [float(speed_up.min()), float(speed_up.max())],
        "hypervolumes": volumes.mean(axis=0).tolist(),
        "hypervolume_halfwidths": [halfwidth(column) for column in volumes.T],
        "hypervolume_difference": float(np.mean(difference)),
        "hypervolume_difference_halfwidth": halfwidth(np.array(difference)),
    }


def halfwidth(values: FloatArray) -> float:
    """Of the 95 % interval of the mean of values (n,)."""
    n = len(values)
    if n < 2:
        return np.inf
    return float(student.ppf(0.975, n - 1) * values.std(ddof=1) / np.sqrt(n))


# The guided search of the toy trade-off, and LINAS beside it


def by_guided(seed: int) -> tuple[float, IntArray]:
    """Seconds and the networks that were evaluated."""
    learner = accuracy_predictor(MODEL, SPACE)
    accuracy = Objective("accuracy", "", "max", learner)
    latency = Objective("latency", "ms", "min", Free(toy.latency_ms))
    evaluated = list[IntArray]()

    def evaluate(X: IntArray) -> FloatArray:
        evaluated.append(X)
        return toy.accuracy(X) / 100

    start = SPACE.sample(START, np.random.default_rng(seed))
    began = time.perf_counter()
    guided(
        Problem(SPACE, (accuracy, latency)),
        [Unknown(accuracy, evaluate)],
        start=start,
        n_evaluations=EVALUATIONS,
        batch=BATCH,
        seed=seed,
        progress=NoProgress(),
    )
    return time.perf_counter() - began, np.vstack(evaluated)


def by_linas(seed: int) -> tuple[float, IntArray]:
    began = time.perf_counter()
    X = linas(SPACE, toy.accuracy, toy.latency_ms, EVALUATIONS, POPULATION, seed)
    return time.perf_counter() - began, X


def by_dynast(python: Path, seed: int) -> tuple[float, IntArray]:
    counts = ["--evaluations", str(EVALUATIONS), "--population", str(POPULATION)]
    told = subprocess.run(
        [python.absolute(), "-m", "peers.linas_dynast", *counts, "--seed", str(seed)],
        cwd=Path(__file__).parent,
        env={**os.environ, "PYTHONHASHSEED": str(seed)},  # it orders its objectives by hashes
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    found = json.loads(told.stdout)
    return found["seconds"], np.array(found["rows"])


def toy_hypervolume(X: IntArray) -> float:
    """Of all that was evaluated, up to 60 % and 80 ms."""
    F = np.column_stack([-toy.accuracy(X), toy.latency_ms(X)])
    return float(moocore.hypervolume(F, ref=[-60.0, 80.0]))


def overhead(python: Path | None, seeds: int) -> dict[str, Any]:
    """Both, in turns; seconds, their ratio, and what was found."""
    peer = by_linas if python is None else lambda seed: by_dynast(python, seed)
    ways: tuple[Callable[[int], tuple[float, IntArray]], ...] = (by_guided, peer)
    seconds, volumes = np.empty((seeds, 2)), np.empty((seeds, 2))
    for seed in range(seeds):
        for way in (0, 1) if seed % 2 else (1, 0):
            seconds[seed, way], X = ways[way](seed)
            volumes[seed, way] = toy_hypervolume(X)
    ratio = seconds[:, 0] / seconds[:, 1]
    return {
        "peer": "linas, written again" if python is None else "DyNAS-T 1.6.0",
        "seconds": seconds.tolist(),
        "ratio": float(np.median(ratio)),
        "ratio_range": [float(ratio.min()), float(ratio.max())],
        "hypervolumes": volumes.tolist(),
    }


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--dynast", type=Path, metavar="PYTHON", help="that can import dynast")
    arguments = parser.parse_args()
    missed = []

    asked, compared = additive(), []
    print(f"{'population':>10}{'evaluations per second':>26}{'times':>8}{'range':>14}", end="")
    print(f"{'hypervolume, 95 % interval':>40}{'difference':>20}")
    print(f"{'':>10}{'ours':>13}{'pymoo':>13}{'':>22}{'ours':>20}{'pymoo':>20}")
    for population, generations in RUNS:
        found = compare(asked, population, generations, arguments.seeds)
        compared.append(found)
        rates, low_high = found["evaluations_per_s"], found["speedup_range"]
        volumes = zip(found["hypervolumes"], found["hypervolume_halfwidths"], strict=True)
        difference = found["hypervolume_difference"]
        unsure = found["hypervolume_difference_halfwidth"]
        print(
            f"{population:>10}{rates[0]:>13,.0f}{rates[1]:>13,.0f}{found['speedup']:>8.1f}"
            f"{f'{low_high[0]:.1f} to {low_high[1]:.1f}':>14}"
            + "".join(f"{f'{mean:.4f} ± {half:.4f}':>20}" for mean, half in volumes)
            + f"{f'{difference:+.2%} ± {unsure:.2%}':>20}",
            flush=True,
        )
        if difference + unsure < 0:
            missed.append(f"population {population}: hypervolume {difference:.2%} ± {unsure:.2%}")
        if population == AT_POPULATION and found["speedup"] < SPEED_UP:
            missed.append(f"speedup_over_pymoo: {found['speedup']:.2f} < {SPEED_UP}")

    beside = overhead(arguments.dynast, min(arguments.seeds, LINAS_SEEDS))
    print(f"\nguided search of {EVALUATIONS} evaluations beside {beside['peer']}, seconds:")
    for seed, (own, peer) in enumerate(beside["seconds"]):
        volumes = beside["hypervolumes"][seed]
        print(
            f"seed {seed}: {own:.1f} and {peer:.1f}, {own / peer:.3f}; "
            f"hypervolume {volumes[0]:.1f} and {volumes[1]:.1f}"
        )
    is_dynast = arguments.dynast is not None
    print(f"ratio {beside['ratio']:.3f}, " + (f"at most {OVERHEAD}" if is_dynast else "no bar"))
    if is_dynast and beside["ratio"] > OVERHEAD:
        missed.append(f"linas_overhead_ratio: {beside['ratio']:.3f} > {OVERHEAD}")

    for line in missed:
        print(f"MISSED {line}")
    (at,) = (found for found in compared if found["population"] == AT_POPULATION)
    result = {
        "speedup_over_pymoo": at["speedup"],
        "linas_overhead_ratio": beside["ratio"] if is_dynast else None,
        "runs": compared,
        "linas": beside,
        "missed": missed,
    }
    write_result(arguments.json, result)
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
