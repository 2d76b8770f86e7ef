"""Fronts of subnetworks, of stitched networks, and of networks alone, at equal numbers of passes.

Three ways to networks of many sizes for 8x8 digits, 300 epochs of one network each: a supernet of
digits-elastic by the default rule and draw; digits-resnet, whose four anchors are trained for 30
epochs each and then stitched for 180; and a dozen networks of digits-elastic, evenly spread over
log MACs and trained alone for 25 epochs each. Batch size, augmentation, optimizer and learning
rates are the same. What stitching spends besides, on answers of a teacher and on least squares, is
not counted.

Of digits-resnet's 4,795 networks 360 are looked at, as many as digits-elastic has: the anchors, and
others drawn evenly over log MACs. At every budget, of multiply-adds or of milliseconds, a way
offers the network within it of the highest validation accuracy. Its test accuracy is averaged over
the logarithm of the budget, between the bounds within which all three have networks. Milliseconds
are sums of tables that are measured here: batch size 16, TVM, one thread.

Figures are means over seeds with 95 % intervals (Student's t). Exits with 1 if subnetworks are
worse than stitched networks, or by more than half a point worse than those alone. All that is
trained and measured is kept in --folder and picked up. A quarter of an hour on a quiet core.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import numpy as np
import torch
from scripts import command_line, write_result
from scripts.alone import spread_over_sizes, trained_alone
from scripts.seeds import cell, with_interval

from tailorbird import spaces
from tailorbird.latency_tables import Profiler, Store, Timing
from tailorbird.latency_tables.devices.device import find
from tailorbird.latency_tables.profiling.space_programs import programs_of
from tailorbird.latency_tables.runtimes.tvm import TvmRuntime
from tailorbird.predictors import TableSum
from tailorbird.progress import TerminalProgress
from tailorbird.spaces import FloatArray, IntArray, SearchSpace
from tailorbird.spaces.chains import Chain
from tailorbird.spaces.footprint import count_macs
from tailorbird.spaces.stitching import StitchSpace
from tailorbird.training import (
    SupernetTraining,
    Trained,
    Training,
    digits,
    train,
    train_supernet,
)
from tailorbird.training.shared.route_sampling import draw_of

N_ALONE = 12
EPOCHS_ALONE = 25
EPOCHS = N_ALONE * EPOCHS_ALONE
TRAIN_EPOCHS, STITCH_EPOCHS = 30, 180  # of each of four anchors, and of all routes
BATCH = 16
ROUNDS = 3
TOLERANCE = 0.005
DATASET = digits.load()


@dataclass(frozen=True, eq=False)
class Way:
    """Networks that one way of training offers.

    Attributes:
        costs: by name of the resource, (n,).
        validation: accuracy, (seeds, n).
        test: likewise.
    """

    costs: Mapping[str, FloatArray]
    validation: FloatArray
    test: FloatArray

    def front(self, resource: str, seed: int) -> tuple[FloatArray, FloatArray]:
        """Costs (m,), ascending, from which on the best network is another, and test accuracies."""
        costs = self.costs[resource]
        order = np.lexsort((-self.validation[seed], costs))
        best = np.maximum.accumulate(self.validation[seed][order])
        rises = order[np.diff(best, prepend=-1.0) > 0]
        return costs[rises], self.test[seed][rises]


def mean_over_log(costs: FloatArray, accuracy: FloatArray, low: float, high: float) -> float:
    """Mean of a step function over the logarithm of budgets between bounds.

    Args:
        costs: at which steps begin, ascending, the first at most the lower bound, (m,).
        accuracy: from there on, (m,).
        low: lower bound.
        high: upper bound.
    """
    ends = np.log(np.clip([*costs, high], low, high))
    return float(np.diff(ends) @ accuracy / (ends[-1] - ends[0]))


def compared(ways: Mapping[str, Way], resource: str) -> dict[str, FloatArray]:
    """Mean test accuracy of each way's front over one resource, by name, (seeds,)."""
    low = max(way.costs[resource].min() for way in ways.values())
    high = min(way.costs[resource].max() for way in ways.values())
    return {
        name: np.array(
            [mean_over_log(*way.front(resource, seed), low, high) for seed in range(len(way.test))]
        )
        for name, way in ways.items()
    }


def way_of(X: IntArray, costs: Mapping[str, FloatArray], made: Sequence[Trained]) -> Way:
    """Networks of rows (n, d) that share weights, trained once for each seed."""
    validation, test = (
        np.array([trained.evaluate(X, split) for trained in made])
        for split in (DATASET.validation, DATASET.test)
    )
    return Way(costs, validation, test)


def alone(
    space: Chain, X: IntArray, costs: Mapping[str, FloatArray], n_seeds: int, folder: Path
) -> Way:
    """Networks of rows (n, d), each trained by itself."""
    ways = [
        way_of(
            row[None],
            {},
            [
                trained_alone(space, row, DATASET, EPOCHS_ALONE, seed, folder)
                for seed in range(n_seeds)
            ],
        )
        for row in X
    ]
    return Way(
        costs,
        np.concatenate([way.validation for way in ways], axis=1),
        np.concatenate([way.test for way in ways], axis=1),
    )


def some_of(space: StitchSpace, n: int) -> IntArray:
    """The anchors and networks of all sizes, each once, (n, d)."""
    rng, draw = np.random.default_rng(0), draw_of("log-macs", space, 0)
    rows = dict.fromkeys(map(tuple, space.landmarks.tolist()))
    while len(rows) < n:
        rows[tuple(draw(rng).tolist())] = None
    return np.array([*rows])


def milliseconds(every: Sequence[SearchSpace], folder: Path) -> list[TableSum]:
    """Sums of latencies that are measured on this machine, for networks of each space."""
    runtime = TvmRuntime(folder / "compiled", Timing())
    store = Store(f"sqlite:///{folder / 'store.sqlite'}")
    profiler = Profiler(runtime, find("local", threads=1), BATCH, store)
    programs = {program.key: program for space in every for program in programs_of(space)}
    try:
        profiler.profile([*programs.values()], ROUNDS, TerminalProgress())
    finally:
        runtime.close()
    table = store.table(profiler.configuration, "local", ROUNDS)
    return [TableSum(space, table) for space in every]


def costs_of(space: SearchSpace, X: IntArray, latency: TableSum) -> dict[str, FloatArray]:
    """Multiply-adds for one image and milliseconds for a batch, of rows (n, d), (n,)."""
    return {"macs": count_macs(space, X) / BATCH, "ms": latency.mean(X)}


def ways_of(folder: Path, n_seeds: int) -> dict[str, Way]:
    """Trains and measures all."""
    elastic, stitched = (spaces.get(s, batch=BATCH) for s in ("digits-elastic", "digits-resnet"))
    assert isinstance(elastic, Chain)
    assert isinstance(stitched, StitchSpace)
    tables = milliseconds([elastic, stitched], folder)
    every = np.concatenate(list(elastic.enumerate()))
    some = some_of(stitched, len(every))
    few = spread_over_sizes(elastic, N_ALONE)
    supernets, together = [], []
    for seed in range(n_seeds):
        settings = SupernetTraining(EPOCHS, seed)
        own, progress = folder / f"elastic-seed-{seed}", TerminalProgress()
        supernets.append(train_supernet(elastic, DATASET, settings, own, progress))
        stitching = Training(TRAIN_EPOCHS, STITCH_EPOCHS, seed)
        own = folder / f"stitched-seed-{seed}"
        together.append(train(stitched, DATASET, stitching, own, progress))
    return {
        "elastic": way_of(every, costs_of(elastic, every, tables[0]), supernets),
        "stitched": way_of(some, costs_of(stitched, some, tables[1]), together),
        "alone": alone(elastic, few, costs_of(elastic, few, tables[0]), n_seeds, folder / "alone"),
    }


def flaws(means: Mapping[str, FloatArray], resource: str) -> list[str]:
    """What is not as good as it should be; means are by way, (seeds,)."""
    missed = []
    for other, tolerance in (("stitched", 0.0), ("alone", TOLERANCE)):
        behind = float((means[other] - means["elastic"]).mean())
        if behind > tolerance:
            missed.append(
                f"over {resource}: elastic is {100 * behind:.2f} points below {other}, more than "
                f"{100 * tolerance:.1f}"
            )
    return missed


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path("runs/bench/supernet_fronts"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    ways = ways_of(arguments.folder, arguments.seeds)
    print(f"{EPOCHS} epochs each, {arguments.seeds} seeds: mean test accuracy of fronts in %")
    print(f"{'':<10}{'networks':>9}{'MACs':>20}{'ms':>9}   over log MACs         over log ms")
    means = {resource: compared(ways, resource) for resource in ("macs", "ms")}
    result: dict[str, object] = {}
    for name, way in ways.items():
        figures = {resource: with_interval(means[resource][name]) for resource in means}
        macs, ms = way.costs["macs"], way.costs["ms"]
        print(
            f"{name:<10}{len(macs):9}{macs.min():>10.0f}{macs.max():>10.0f}{ms.min():7.3f}"
            f"{ms.max():7.3f}   " + "   ".join(map(cell, figures.values()))
        )
        result[name] = {
            "n_networks": len(macs),
            "mean_accuracy": figures,
            "fronts": {
                resource: [
                    [values.tolist() for values in way.front(resource, seed)]
                    for seed in range(arguments.seeds)
                ]
                for resource in means
            },
        }
    missed = [line for resource in means for line in flaws(means[resource], resource)]
    print("\n".join(f"MISSED {line}" for line in missed) or "All goals are met.")
    facts = {"epochs": EPOCHS, "seeds": arguments.seeds, "batch": BATCH}
    facts |= {"cpu": find("local", threads=1).cpu, "missed": missed}
    write_result(arguments.json, {**facts, "ways": result})
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
