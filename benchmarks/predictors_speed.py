"""Rows per second of predictors, beside the plain way to have the same numbers.

For latency that is the sum of a table, `TableSum.mean`, which walks the graph of a layered space;
beside it stands the sparse product of counts and latencies, `count_workloads(X) @ ms`. Latencies
are drawn, with a seed: speed does not depend on their values. Rows are drawn uniformly from the
space and canonical, int64 in C order.

One thread on one core. Medians of seven repeats after one to warm up, both ways by turns, and the
slowest and fastest of the seven. Exits with 1 if the two ways differ by more than 1e-7, relative,
or if a median is below its bar.
"""

import os
import platform
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import numpy as np
import scipy
from scripts import command_line, write_result

from tailorbird import spaces
from tailorbird.latency_tables import Configuration, Latency, LatencyTable
from tailorbird.latency_tables.devices.device import find
from tailorbird.predictors import Predictor, TableSum, accuracy_predictor
from tailorbird.published.data_folder import data_folder
from tailorbird.published.rows import published_rows
from tailorbird.spaces import CALL, FloatArray, IntArray, SearchSpace

N_ROWS = 1_000_000
N_ROWS_PLAIN = 100_000
"""Fewer: counts of a million networks of 45 layers fill a gigabyte, which would slow it down."""

ACCURACY_BAR = 5e4
N_EVALUATED = 400

REPEATS = 7
TOLERANCE = 1e-7

SPACES: Mapping[str, tuple[dict[str, object], float | None]] = {
    "macro-mobilenetv2": ({}, 3e6),
    "digits-resnet": ({"max_stitches": 3}, 5e5),
    "deit-ti-s-b": ({"max_stitches": 3}, 5e5),
    "ofa-mobilenetv3": ({}, None),
}
"""Settings, and the fewest rows per second that will do; None where there is no bar."""

Means = Callable[[IntArray], FloatArray]


@dataclass(frozen=True)
class Case:
    """Two ways to the same means.

    Attributes:
        predictor: what is timed.
        space: of the rows.
        predicted: the way of the predictor.
        plain: the way beside it.
        bar: the fewest rows per second that will do.
        n_rows: that are timed.
        n_rows_plain: that are timed the plain way.
    """

    predictor: str
    space: SearchSpace
    predicted: Means
    plain: Means
    bar: float | None
    n_rows: int = N_ROWS
    n_rows_plain: int = N_ROWS_PLAIN


def drawn_table(space: SearchSpace) -> LatencyTable:
    rng = np.random.default_rng(0)
    keys = [workload.key for workload in (*space.workloads, CALL)]
    entries = {
        key: Latency.stated(float(ms), None)
        for key, ms in zip(keys, rng.uniform(0.1, 2, len(keys)), strict=True)
    }
    return LatencyTable("drawn", Configuration.imported("drawn", 1, 1), entries, {})


def table_sum(space: SearchSpace, bar: float | None) -> tuple[Case, ...]:
    predictor = TableSum(space, drawn_table(space))
    added_ms, call_ms = predictor.added_ms, predictor.call_ms
    case = Case(
        "TableSum",
        space,
        predictor.mean,
        lambda X: np.asarray(space.count_workloads(X) @ added_ms + call_ms),
        bar,
    )
    return (case,)


def accuracy(space: SearchSpace, bar: float | None) -> tuple[Case, ...]:
    """The default of recipes, and the fastest model alone that sees as much."""
    X, y = evaluated(space)
    cases = []
    for name in ("auto", "process-places"):
        predictor = accuracy_predictor(name, space).fit(X, y)
        cases.append(
            Case(name, space, predictor.mean, means_of(predictor), ACCURACY_BAR, 100_000, 5_000)
        )
    return tuple(cases)


def means_of(predictor: Predictor) -> Means:
    return lambda X: predictor.predict(X).mean


def evaluated(space: SearchSpace) -> tuple[IntArray, FloatArray]:
    """Networks and accuracies: published ones, or drawn around a trend in the amount of work."""
    rng = np.random.default_rng(0)
    family = space.name.partition("(")[0]
    if family in PUBLISHED:
        rows = published_rows(space, data_folder())
        chosen = rng.permutation(len(rows.X))[:N_EVALUATED]
        return rows.X[chosen], rows.column(PUBLISHED[family])[chosen] / 100
    n = 150 if family.startswith("digits") else N_EVALUATED
    X = rng.permutation(np.unique(space.sample(3 * n, rng), axis=0))[:n]
    work = np.asarray(space.count_workloads(X).sum(axis=1), dtype=np.float64)
    y = 0.9 - 0.3 * np.exp(-work / work.mean()) + rng.normal(0, 0.01, len(X))
    return X, np.clip(y, 0, 1)


PUBLISHED = {"macro-mobilenetv2": "mean_acc", "ofa-mobilenetv3": "top1"}

PREDICTORS = (table_sum, accuracy)
"""What makes the cases of a space."""


def rates(case: Case) -> tuple[FloatArray, FloatArray, float]:
    """Rows per second of both ways, (REPEATS,), and by how much their means differ, relative."""
    X = case.space.sample(case.n_rows, np.random.default_rng(0))
    fewer = X[: case.n_rows_plain].copy()
    found = np.empty((1 + REPEATS, 2))
    for repeat in range(1 + REPEATS):
        for way, (means, rows) in enumerate(((case.predicted, X), (case.plain, fewer))):
            begin = time.perf_counter()
            y = means(rows)
            found[repeat, way] = len(rows) / (time.perf_counter() - begin)
            if way == 0:
                predicted = y[: len(fewer)]
    difference = float(np.max(np.abs(predicted / y - 1)))
    return found[1:, 0], found[1:, 1], difference


def spread(rates: FloatArray) -> dict[str, float]:
    return {
        "median": float(np.median(rates)),
        "slowest": float(rates.min()),
        "fastest": float(rates.max()),
    }


def cell(found: Mapping[str, float]) -> str:
    median, slowest, fastest = (found[k] / 1e6 for k in ("median", "slowest", "fastest"))
    return f"{median:9.2f}  {f'({slowest:.2f} to {fastest:.2f})':<18}"


def main() -> None:
    parser = command_line(__doc__)
    arguments = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    print(f"{'million rows per second':<30}{'predictor':>9}{'':20}{'plain':>9}{'':20}{'bar':>5}")
    rows, failures = [], []
    for name, (settings, bar) in SPACES.items():
        space = spaces.get(name, **settings)
        for case in (case for make in PREDICTORS for case in make(space, bar)):
            fast, plain, difference = rates(case)
            found = {
                "predictor": case.predictor,
                "space": space.name,
                "n_variables": len(space.variables),
                "n_rows": case.n_rows,
                "n_rows_plain": case.n_rows_plain,
                "rows_per_s": spread(fast),
                "plain_rows_per_s": spread(plain),
                "bar_rows_per_s": case.bar,
                "largest_relative_difference": difference,
            }
            rows.append(found)
            cells = cell(spread(fast)) + cell(spread(plain))
            lowest = "-" if case.bar is None else f"{case.bar / 1e6:.2f}"
            print(f"{f'{case.predictor}, {name}':<30}{cells}{lowest:>5}")
            if difference > TOLERANCE:
                failures.append(f"{name}: the ways differ by {difference:.1e}")
            if case.bar is not None and np.median(fast) < case.bar:
                failures.append(
                    f"{name}: {case.predictor} does {np.median(fast):,.0f} rows per second, below "
                    f"{case.bar:,.0f}"
                )
    for failure in failures:
        print(f"MISSED {failure}")
    facts = {
        "cpu": find("local", threads=1).cpu,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "repeats": REPEATS,
        "threads": 1,
        "latencies": "drawn uniformly from 0.1 to 2 ms, seed 0",
    }
    result = {**facts, "cases": rows, "failures": failures}
    write_result(arguments.json, result)
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
