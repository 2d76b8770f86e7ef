"""Latency of workloads that were never measured, and of networks that hold them.

Once-for-all's blocks as NSGANetV2's authors timed them on an i7-8700K: 4,050 rows, for every
resolution and two widths. Of each op with at least 20 rows a random half is hidden, then predicted
from the rest, and networks that DyNAS-T evaluated are priced with the half-empty table, against the
sum of all of their rows. Two settings: `table` has the rows of all resolutions and widths for
neighbours, `space` those of the one space alone that is priced, at resolution 224, as a recipe with
`estimate_missing = true` has them.

Beside `WorkloadLatency`: for each op, log milliseconds as a line over log multiply-adds; and the
nearest measured row of the same op, as `WorkloadSimilarity` has it. They state no uncertainty.

Figures are means over seeds with 95 % intervals (Student's t). Exits with 1 if a baseline is better
by error, or if coverage of 90 % intervals of the rows is outside 0.85 to 0.95.
"""

import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import numpy as np
from scripts import command_line, write_result
from scripts.seeds import with_interval
from sklearn.linear_model import LinearRegression

from tailorbird import spaces
from tailorbird.latency_tables import Configuration, Latency, LatencyTable
from tailorbird.latency_tables.formats.imported import Stated, record_of
from tailorbird.predictors import Prediction, TableSum, WorkloadLatency, complete
from tailorbird.predictors.latency.workload_similarity import WorkloadSimilarity
from tailorbird.predictors.metrics import coverage, mape, spearman_rho
from tailorbird.published import ofa_latencies
from tailorbird.published.data_folder import data_folder
from tailorbird.published.rows import published_rows
from tailorbird.spaces import FloatArray, IntArray, Workload
from tailorbird.spaces.footprint import costs
from tailorbird.storage.foreign import csv_sheet

FILE = "ofa_mbv3_lut_i7_8700k.csv.gz"
FEWEST_ROWS = 20
SEEDS = {"table": 5, "space": 20}
OURS, BASELINES = "WorkloadLatency", ("line", "nearest")
SPACE = spaces.get("ofa-mobilenetv3", resolution=224)
Figures = dict[str, float]
Draw = Mapping[str, Mapping[str, Figures]]
"""By predictor, and by rows or networks."""


def published_table() -> tuple[tuple[Workload, ...], LatencyTable]:
    """Workloads of the rows, and their latencies."""
    lines = csv_sheet.read(data_folder() / FILE).rows
    workloads = {line: ofa_latencies.workload(row) for line, row in lines.items()}
    stated = [
        Stated(workloads[line].key, float(row["mean"]), float(row["var"]) ** 0.5, line)
        for line, row in lines.items()
    ]
    configuration = Configuration.imported("i7-8700K", threads=1, batch=ofa_latencies.BATCH)
    record = record_of(stated, ofa_latencies.SOURCE, configuration, SPACE.name)
    return tuple(workloads.values()), record.table(1)


def hidden_half(workloads: Sequence[Workload], rng: np.random.Generator) -> set[str]:
    """Keys of half of the workloads of each op that has enough of them."""
    found = set[str]()
    for op in dict.fromkeys(workload.op for workload in workloads):
        keys = [workload.key for workload in workloads if workload.op == op]
        if len(keys) >= FEWEST_ROWS:
            found |= {keys[i] for i in rng.permutation(len(keys))[: len(keys) // 2]}
    return found


def line(known: Sequence[Workload], ms: FloatArray, hidden: Sequence[Workload]) -> FloatArray:
    logs = [np.log2(1 + costs(some)[:, :1]) for some in (known, hidden)]
    ops = [np.array([workload.op for workload in some]) for some in (known, hidden)]
    found = np.empty(len(hidden))
    for op in np.unique(ops[1]):
        model = LinearRegression().fit(logs[0][ops[0] == op], np.log(ms[ops[0] == op]))
        found[ops[1] == op] = np.exp(model.predict(logs[1][ops[1] == op]))
    return found


def nearest(known: Sequence[Workload], ms: FloatArray, hidden: Sequence[Workload]) -> FloatArray:
    likeness = WorkloadSimilarity(known)
    A, B = (likeness.points(some) for some in (hidden, known))
    squared = np.sum(A**2, axis=1)[:, None] + np.sum(B**2, axis=1) - 2 * A @ B.T
    ops = [np.array([workload.op for workload in some]) for some in (hidden, known)]
    squared[ops[0][:, None] != ops[1]] = np.inf
    return np.asarray(ms[np.argmin(squared, axis=1)])


def figures(predicted: Prediction | FloatArray, measured_ms: FloatArray) -> Figures:
    if isinstance(predicted, Prediction):
        stated = {"coverage_90": coverage(predicted, measured_ms)}
        return {**figures(predicted.mean, measured_ms), **stated}
    return {"mape": mape(predicted, measured_ms), "rho": spearman_rho(predicted, measured_ms)}


def draw(
    workloads: Sequence[Workload],
    table: LatencyTable,
    X: IntArray,
    networks_ms: FloatArray,
    rng: np.random.Generator,
) -> Draw:
    """What is found with half of the workloads hidden: figures of rows and networks."""
    keys = hidden_half(workloads, rng)
    hidden = [workload for workload in workloads if workload.key in keys]
    known = [workload for workload in workloads if workload.key not in keys]
    ms, hidden_ms = (
        np.array([table.entries[workload.key].median_ms for workload in some])
        for some in (known, hidden)
    )
    half = replace(table, entries={w.key: table.entries[w.key] for w in known})
    begin = time.perf_counter()
    rows = WorkloadLatency().fit(known, ms).predict(hidden)
    seconds = time.perf_counter() - begin
    summed = TableSum(SPACE, complete(SPACE, half, also=known))
    found = {
        OURS: {
            "rows": {**figures(rows, hidden_ms), "seconds": seconds},
            "networks": {
                **figures(summed.predict(X), networks_ms),
                "predicted_share": float(summed.predicted_share(X).mean()),
            },
        }
    }
    for name, baseline in zip(BASELINES, (line, nearest), strict=True):
        guessed = baseline(known, ms, hidden)
        stated = {w.key: Latency.stated(v, None) for w, v in zip(hidden, guessed, strict=True)}
        filled = replace(half, entries={**half.entries, **stated})
        found[name] = {
            "rows": figures(guessed, hidden_ms),
            "networks": figures(TableSum(SPACE, filled).mean(X), networks_ms),
        }
    return found


def told(name: str, draws: Sequence[Draw]) -> dict[str, object]:
    """Means over draws with their intervals, as JSON has them; prints them as well."""
    result: dict[str, object] = {}
    for who, of_kind in draws[0].items():
        result[who] = kinds = {}
        for kind, of in of_kind.items():
            kinds[kind] = {
                figure: with_interval(np.array([one[who][kind][figure] for one in draws]))
                for figure in of
            }
            for figure, found in kinds[kind].items():
                ends = f"[{found['low']:.4f}, {found['high']:.4f}]"
                print(f"{name:<7}{who:<17}{kind:<10}{figure:<17}{found['mean']:7.4f} {ends}")
    return result


def flaws(name: str, draws: Sequence[Draw]) -> list[str]:
    """What is not as it should be."""

    def mean(who: str, kind: str, figure: str) -> float:
        return float(np.mean([one[who][kind][figure] for one in draws]))

    found = [
        f"{name}: {who} has the smaller error of {kind}"
        for who in BASELINES
        for kind in ("rows", "networks")
        if mean(who, kind, "mape") <= mean(OURS, kind, "mape")
    ]
    covered = mean(OURS, "rows", "coverage_90")
    if not 0.85 <= covered <= 0.95:
        found.append(f"{name}: coverage of rows is {covered:.3f}")
    return found


def main() -> None:
    parser = command_line(__doc__)
    arguments = parser.parse_args()
    workloads, table = published_table()
    X = published_rows(SPACE, data_folder()).X
    networks_ms = TableSum(SPACE, table).mean(X)
    begin = time.perf_counter()
    costs(workloads)
    seconds = time.perf_counter() - begin
    print(f"multiply-adds of {len(workloads)} workloads: {seconds:.0f} s")
    result: dict[str, object] = {"n_networks": len(networks_ms), "seconds_counting": seconds}
    failures = []
    for name, some in (("space", SPACE.workloads), ("table", workloads)):
        draws = [
            draw(some, table, X, networks_ms, np.random.default_rng(seed))
            for seed in range(SEEDS[name])
        ]
        result[name] = {"n_rows": len(some), "seeds": len(draws), **told(name, draws)}
        failures += flaws(name, draws)
    for failure in failures:
        print(f"MISSED {failure}")
    write_result(arguments.json, {**result, "failures": failures})
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
