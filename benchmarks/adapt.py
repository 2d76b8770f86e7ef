"""Latencies of whole spaces on devices on which ten networks were timed, from one known device.

The known device is this machine with one thread and all of its instructions; the new ones are this
machine restricted to AVX2, restricted to SSE, and with two threads. Of each the full table of
`deit-ti-s-b` is measured, and whole networks: the ten that `Adaptation` suggests, and some drawn at
random. What is predicted from the known device's table and ten networks is scored against the sum
of the new device's full table, over all networks of the space but those ten; and once more against
random networks as they were timed whole, which no table sum predicts exactly.

Beside it: one factor for all networks, fitted to the ten; and ridge on counts of workloads, from
the ten alone. Likewise from tens drawn at random among all that were timed, in the mean of draws.

Everything measured is kept in --folder: what is there already is not measured again. Exits with 1
if Spearman's correlation or the share within 10 % of a device misses its bar, or is left out.
"""

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from scripts import command_line, write_result
from sklearn.linear_model import RidgeCV

from tailorbird import recipe as recipes
from tailorbird import spaces
from tailorbird.latency_tables import LatencyTable, Program
from tailorbird.latency_tables.devices import device
from tailorbird.latency_tables.profiling.space_programs import network_program, programs_of
from tailorbird.pipeline.database import RunDatabase
from tailorbird.pipeline.latency_sources.adaptation import Adaptation
from tailorbird.pipeline.latency_sources.measured import MeasuredLatency
from tailorbird.predictors import AdaptedSum, Prediction, TableSum
from tailorbird.predictors.metrics import mape, share_within, spearman_rho
from tailorbird.progress import TerminalProgress
from tailorbird.spaces import FloatArray, IntArray

SPACE = spaces.get("deit-ti-s-b")
KNOWN = "all instructions, 1 thread"
TARGETS: dict[str, tuple[str | None, int]] = {
    KNOWN: (None, 1),
    "AVX2, 1 thread": ("x86-64-v3", 1),
    "SSE, 1 thread": ("x86-64", 1),
    "all instructions, 2 threads": (None, 2),
}
N_TIMED, N_DRAWS = 10, 50
SPEARMAN_BAR, SHARE_BAR = 0.98, 0.95
RECIPE = """
name = "adapt"
[space]
name = "deit-ti-s-b"
[device]
threads = {threads}
{target}
[latency]
rounds = {rounds}
"""

Fit = Callable[[IntArray, FloatArray], Callable[[IntArray], Prediction]]


def measured(name: str, folder: Path, rounds: int) -> MeasuredLatency:
    """Of one of the targets, into the store of all."""
    target, threads = TARGETS[name]
    path = folder / "recipe.toml"
    line = "" if target is None else f'target = "{target}"'
    path.write_text(RECIPE.format(threads=threads, target=line, rounds=rounds))
    recipe = recipes.load(path)[0]
    here = device.find("local", threads, target)
    return MeasuredLatency(recipe, folder, SPACE, here, RunDatabase(None, folder))


def fill(one: MeasuredLatency, programs: list[Program]) -> LatencyTable:
    """The table, once all programs are in it."""
    one.setup.fill(one.database.store(), programs, TerminalProgress())
    table = one.table()
    one.close()
    failed = {program.key for program in programs} & table.failures.keys()
    if failed:
        key = min(failed)
        sys.exit(f"{len(failed)} programs failed (first: {key}: {table.failures[key]}).")
    return table


def by_factor(known: TableSum) -> Fit:
    def fit(X: IntArray, y_ms: FloatArray) -> Callable[[IntArray], Prediction]:
        logs = np.log(y_ms / known.mean(X))
        factor, spread = np.exp(logs.mean()), logs.std(ddof=1)
        return lambda Z: Prediction(factor * known.mean(Z), factor * spread * known.mean(Z))

    return fit


def by_counts(X: IntArray, y_ms: FloatArray) -> Callable[[IntArray], Prediction]:
    def counts(rows: IntArray) -> FloatArray:
        return np.asarray(SPACE.count_workloads(rows).toarray(), dtype=np.float64)

    ridge = RidgeCV(alphas=np.logspace(-6, 3, 19)).fit(counts(X), y_ms)
    std_ms = np.sqrt(-ridge.best_score_)  # of errors of the left-out, in the root mean square

    def predict(Z: IntArray) -> Prediction:
        return Prediction(ridge.predict(counts(Z)), np.full(len(Z), std_ms))

    return predict


def by_few_shot(table: LatencyTable) -> Fit:
    adapted = AdaptedSum(SPACE, [table])
    return lambda X, y_ms: adapted.fit(X, y_ms).predict


def scores(predicted: Prediction, truth_ms: FloatArray) -> dict[str, float]:
    low, high = predicted.interval(0.9)
    return {
        "spearman": spearman_rho(predicted.mean, truth_ms),
        "share_within_10": share_within(predicted.mean, truth_ms, 0.10),
        "mape": mape(predicted.mean, truth_ms),
        "coverage_90": float(np.mean((low <= truth_ms) & (truth_ms <= high))),
    }


@dataclass(frozen=True)
class Networks:
    """All of the space, and what was timed of them on one device.

    Attributes:
        X: all rows, (n, d).
        table_ms: sums of the device's full table, (n,).
        timed_ms: as timed whole, by row number.
    """

    X: IntArray
    table_ms: FloatArray
    timed_ms: Mapping[int, float]

    def scored(self, fit: Fit, chosen: IntArray) -> dict[str, float]:
        """Of all networks but the chosen ones."""
        rest = np.setdiff1d(np.arange(len(self.X)), chosen)
        return scores(self._fitted(fit, chosen)(self.X[rest]), self.table_ms[rest])

    def scored_on_timed(self, fit: Fit, chosen: IntArray) -> dict[str, float]:
        """Of networks that were timed whole, but the chosen ones."""
        rest = np.setdiff1d(list(self.timed_ms), chosen)
        timed_ms = np.array([self.timed_ms[i] for i in rest])
        return scores(self._fitted(fit, chosen)(self.X[rest]), timed_ms)

    def _fitted(self, fit: Fit, chosen: IntArray) -> Callable[[IntArray], Prediction]:
        return fit(self.X[chosen], np.array([self.timed_ms[i] for i in chosen]))


def places(X: IntArray, rows: IntArray) -> IntArray:
    """Where each of some rows is in X."""
    return np.array([int(np.flatnonzero((row == X).all(axis=1))[0]) for row in rows])


def evaluate(
    name: str, known: LatencyTable, folder: Path, rounds: int, n_random: int, suggested: IntArray
) -> dict[str, object]:
    X = np.vstack(list(SPACE.enumerate()))
    drawn = np.random.default_rng(0).permutation(len(X))[:n_random]
    chosen = places(X, suggested)
    timed = {i: network_program(SPACE, X[i]) for i in np.union1d(chosen, drawn).tolist()}
    one = measured(name, folder, rounds)
    table = fill(one, [*programs_of(SPACE), *timed.values()])
    networks = Networks(
        X,
        TableSum(SPACE, table).mean(X),
        {i: table.entries[program.key].median_ms for i, program in timed.items()},
    )
    fits = {
        "few-shot": by_few_shot(known),
        "one factor": by_factor(TableSum(SPACE, known)),
        "ridge on counts": by_counts,
    }
    rng = np.random.default_rng(1)
    draws = [rng.choice(list(timed), N_TIMED, replace=False) for _ in range(N_DRAWS)]
    found: dict[str, dict[str, dict[str, float]]] = {"suggested": {}, "random": {}, "timed": {}}
    for kind, fit in fits.items():
        found["suggested"][kind] = networks.scored(fit, chosen)
        found["timed"][kind] = networks.scored_on_timed(fit, chosen)
        of_draws = [networks.scored(fit, draw) for draw in draws]
        found["random"][kind] = {
            key: float(np.mean([one[key] for one in of_draws])) for key in of_draws[0]
        }
    rest = np.setdiff1d(list(timed), chosen)
    sums = TableSum(SPACE, table).predict(X[rest])
    found["timed"]["its own table"] = scores(
        sums, np.array([networks.timed_ms[i] for i in rest.tolist()])
    )
    show(name, found, networks, TableSum(SPACE, known).mean(X))
    return {**found["suggested"]["few-shot"], **found}


HEADINGS = {
    "suggested": f"{N_TIMED} suggested networks",
    "random": f"{N_TIMED} of all that were timed, mean of {N_DRAWS} draws",
    "timed": f"{N_TIMED} suggested networks, against random ones as timed whole",
}


def show(
    name: str,
    found: Mapping[str, Mapping[str, Mapping[str, float]]],
    networks: Networks,
    known_ms: FloatArray,
) -> None:
    ratio = networks.table_ms / known_ms
    print(f"\n{name}: {ratio.min():.2f} to {ratio.max():.2f} times the known device\033[K")
    columns = ("spearman", "within 10 %", "mape", "coverage 90 %")
    for part, heading in HEADINGS.items():
        print(f"  {heading:<64}" + "".join(f"{column:>15}" for column in columns))
        for kind, row in found[part].items():
            print(f"    {kind:<62}" + "".join(f"{value:15.3f}" for value in row.values()))


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--folder", type=Path, default=Path("runs/adapt"), metavar="FOLDER")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--random", type=int, default=12, help="random networks timed beside")
    parser.add_argument("--only", nargs="+", choices=list(TARGETS)[1:], default=list(TARGETS)[1:])
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    one = measured(KNOWN, arguments.folder, arguments.rounds)
    known = fill(one, programs_of(SPACE))
    suggested = Adaptation(SPACE, (one.record(),), N_TIMED).samples
    result = {
        name: evaluate(name, known, arguments.folder, arguments.rounds, arguments.random, suggested)
        for name in arguments.only
    }
    worst = {
        key: min(float(str(of_one[key])) for of_one in result.values())
        for key in ("spearman", "share_within_10")
    }
    print(f"\nworst of all: {worst}")
    left_out = sorted(TARGETS.keys() - {KNOWN, *arguments.only})
    facts = {
        "rounds": arguments.rounds,
        "random": arguments.random,
        "left_out": left_out,
        "devices": result,
    }
    write_result(arguments.json, worst | facts)
    missed = [
        f"{name}: {key} = {float(str(of_one[key])):.4f} < {bar}"
        for name, of_one in result.items()
        for key, bar in (("spearman", SPEARMAN_BAR), ("share_within_10", SHARE_BAR))
        if float(str(of_one[key])) < bar
    ]
    missed += [f"{name} was left out" for name in left_out]
    if missed:
        sys.exit("MISSED " + "; ".join(missed))


if __name__ == "__main__":
    main()
