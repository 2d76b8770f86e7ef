"""Latency of whole networks on a device of which 100 networks were timed, and no workload.

For each column of latencies in the tables for NAS-Bench-201, FBNet and Once-for-All: `InferredSum`
beside two ways to learn from one-hot encodings, ridge with its penalty chosen by leaving one out,
and gradient boosting. Each learns from the same 100 networks of a random draw and is tested on the
others, 3,000 of them at random if there are more. Figures of a column are means over draws; a
table's are means over columns with 95 % bootstrap intervals over its columns, which are devices
and batch sizes. Baselines state no uncertainty, so their coverage is null.

Rows of NAS-Bench-201 count as they were timed: those that have no dead edge, each of them one
architecture, without the cell that outputs zeros. In the two other tables published rows of one
architecture are averaged.

Exits with 1 if a baseline is better in any column, by error or by rank.
"""

import json
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import numpy as np
import pandas as pd
from scripts import command_line, write_result
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.linear_model import RidgeCV

from tailorbird import spaces
from tailorbird.predictors import InferredSum, Prediction
from tailorbird.predictors.metrics import bootstrap, coverage, mape, spearman_rho
from tailorbird.published.data_folder import data_folder
from tailorbird.published.rows import published_rows
from tailorbird.spaces import FloatArray, IntArray, SearchSpace

N_TRAIN, N_TEST = 100, 3_000
SPACES = ("nasbench201", "fbnet", "ofa-mobilenetv3")
OURS, BASELINES = "InferredSum", ("ridge", "boosting")
FIGURES = ("mape", "rho", "coverage_90")
NASBENCH201_FILE = "nb201_help_mini.parquet"
ROWS = {
    "nasbench201": "rows without dead edges, as timed; without the cell that outputs zeros",
    "fbnet": "distinct architectures, means of their rows",
    "ofa-mobilenetv3": "distinct architectures, means of their rows",
}


@dataclass(frozen=True)
class Table:
    """Canonical rows (n, d) and their latencies by column, (n,) each."""

    space: SearchSpace
    X: IntArray
    columns_ms: Mapping[str, FloatArray]


def table_of(name: str) -> Table:
    space = spaces.get(name)
    if name == "nasbench201":
        frame = pd.read_parquet(data_folder() / NASBENCH201_FILE)
        X = frame[[variable.name for variable in space.variables]].to_numpy(np.int64)
        kept = (space.repair(X) == X).all(axis=1) & X.any(axis=1)
        X, frame = X[kept], frame[kept]
    else:
        published = published_rows(space, data_folder())
        X, frame = published.X, published.values
    names = [str(column) for column in frame if str(column).startswith("lat_ms_")]
    return Table(space, X, {name: frame[name].to_numpy(np.float64) for name in names})


def one_hot(space: SearchSpace, X: IntArray) -> FloatArray:
    columns = [
        X[:, [k]] == np.arange(len(variable.choices)) for k, variable in enumerate(space.variables)
    ]
    return np.hstack(columns).astype(np.float64)


Figures = dict[str, float]


def figures(prediction: Prediction | FloatArray, measured_ms: FloatArray) -> Figures:
    if isinstance(prediction, Prediction):
        return {
            **figures(prediction.mean, measured_ms),
            "coverage_90": coverage(prediction, measured_ms),
        }
    return {
        "mape": mape(prediction, measured_ms),
        "rho": spearman_rho(prediction, measured_ms),
        "coverage_90": np.nan,
    }


def draw(table: Table, predictor: InferredSum, y_ms: FloatArray, seed: int) -> dict[str, Figures]:
    known = np.flatnonzero(np.isfinite(y_ms) & (y_ms > 0))
    rows = np.random.default_rng(seed).permutation(known)
    train, test = rows[:N_TRAIN], rows[N_TRAIN : N_TRAIN + N_TEST]
    begin = time.perf_counter()
    ours = predictor.fit(table.X[train], y_ms[train]).predict(table.X[test])
    seconds = time.perf_counter() - begin
    found = {OURS: {**figures(ours, y_ms[test]), "seconds": seconds}}
    Z = one_hot(table.space, table.X)
    for name, model in (
        ("ridge", RidgeCV(np.logspace(-3, 3, 13))),
        ("boosting", GradientBoostingRegressor(random_state=0)),
    ):
        found[name] = figures(model.fit(Z[train], y_ms[train]).predict(Z[test]), y_ms[test])
    return found


def evaluate(table: Table, draws: int) -> dict[str, dict[str, Figures]]:
    """Figures by column, predictor and name."""
    predictor, found = InferredSum(table.space), {}
    for name, y_ms in table.columns_ms.items():
        of_draws = [draw(table, predictor, y_ms, seed) for seed in range(draws)]
        found[name] = {
            who: {figure: float(np.mean([one[who][figure] for one in of_draws])) for figure in of}
            for who, of in of_draws[0].items()
        }
        cells = "".join(
            f"{100 * found[name][who]['mape']:10.2f}{found[name][who]['rho']:7.3f}"
            for who in (OURS, *BASELINES)
        )
        print(f"{name:<34}{cells}{found[name][OURS]['coverage_90']:10.2f}", flush=True)
    return found


def mean_of(values: FloatArray) -> dict[str, object]:
    """Over columns; one column has no interval."""
    found = bootstrap(lambda a, _: float(a.mean()), values, values, np.random.default_rng(0))
    return {"mean": found.value, "interval": [found.low, found.high] if len(values) > 1 else None}


def means(columns: Mapping[str, Mapping[str, Figures]]) -> dict[str, object]:
    def values(who: str, figure: str) -> FloatArray:
        return np.array([column[who][figure] for column in columns.values()])

    result: dict[str, object] = {
        who: {
            figure: mean_of(values(who, figure))
            for figure in (FIGURES if who == OURS else FIGURES[:2])
        }
        for who in (OURS, *BASELINES)
    }
    for who in BASELINES:
        result[f"mape_over_{who}"] = mean_of(values(OURS, "mape") / values(who, "mape"))
    return result


def plain(columns: Mapping[str, Mapping[str, Figures]]) -> dict[str, object]:
    """As JSON has it: null for what is not known."""
    return {
        name: {
            who: {k: v if np.isfinite(v) else None for k, v in of.items()}
            for who, of in column.items()
        }
        for name, column in columns.items()
    }


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--draws", type=int, default=10)
    arguments = parser.parse_args()
    result, failures = {}, []
    for name in SPACES:
        table = table_of(name)
        print(f"\n{name}: {len(table.X)} networks: {ROWS[name]}; {arguments.draws} draws")
        heads = "".join(f"{who:>12}{'rho':>5}" for who in (OURS, *BASELINES))
        print(f"{'mean absolute error, %':<34}{heads}{'coverage':>10}")
        columns = evaluate(table, arguments.draws)
        result[name] = {
            "rows": ROWS[name],
            "n_networks": len(table.X),
            "n_train": N_TRAIN,
            "draws": arguments.draws,
            "columns": plain(columns),
            "means": means(columns),
        }
        for key, of in means(columns).items():
            print(f"  {key}: {json.dumps(of)}")
        for column, found in columns.items():
            failures += [
                f"{name}, {column}: {who} is better"
                for who in BASELINES
                if found[who]["mape"] < found[OURS]["mape"]
                or found[who]["rho"] > found[OURS]["rho"]
            ]
    for failure in failures:
        print(f"MISSED {failure}")
    write_result(arguments.json, {**result, "failures": failures})
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
