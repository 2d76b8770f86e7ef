"""Rank correlation of accuracies that were not evaluated with their prediction, by sample size.

Three published tables: NAS-Bench-201 (c10_test_12ep, from HELP's mini table), NAS-Bench-Macro
(mean_acc), Once-for-All's MobileNetV3 (top1, from DyNAS-T's searches). Rows of one architecture are
averaged; random architectures are the samples and up to 3,000 of the rest are ranked. Kendall's
tau-b, mean over draws with its standard error, and the coverage of 90 % intervals.

Beside `auto`, without a time budget: ridge, Gaussian process, random forest and, where it
is installed, XGBoost on one-hot encodings (with kernel-by-expansion pairs for Once-for-All, the
unused slots apart), and multiply-adds alone. A few draws show each of our models alone, and the
process without free statistics. Exits with 1 if `auto` is not the best, or within one standard
error of it, or below its bar.
"""

import importlib.util
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import cache

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import numpy as np
import pandas as pd
from scipy.stats import kendalltau
from scripts import command_line, write_result
from sklearn.ensemble import RandomForestRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from sklearn.linear_model import RidgeCV

from tailorbird import spaces
from tailorbird.predictors import AccuracyPredictor, accuracy_predictor
from tailorbird.predictors.accuracy.models import MODELS
from tailorbird.published.data_folder import data_folder
from tailorbird.published.rows import published_rows
from tailorbird.spaces import FloatArray, IntArray
from tailorbird.spaces.footprint import count_macs

TABLES = {
    "nb201_help_mini": ("nasbench201", "c10_test_12ep"),
    "nasbench_macro": ("macro-mobilenetv2", "mean_acc"),
    "ofa_mbv3_dynast_acc": ("ofa-mobilenetv3", "top1"),
}
SIZES = (20, 50, 100, 200, 400)
N_RANKED = 3000
DRAWS_ALONE = 3
"""Draws in which each model of ours is shown alone."""
BARS = {
    ("ofa_mbv3_dynast_acc", 100): 0.89,
    ("ofa_mbv3_dynast_acc", 200): 0.93,
    ("ofa_mbv3_dynast_acc", 400): 0.95,
    ("nasbench_macro", 100): 0.83,
    ("nb201_help_mini", 100): 0.60,
}


@cache
def loaded(table: str) -> tuple[IntArray, FloatArray, FloatArray, FloatArray]:
    """Rows, accuracies, plain features and multiply-adds of a table."""
    name, column = TABLES[table]
    space = spaces.get(name)
    rows = published_rows(space, data_folder())
    return (
        rows.X,
        rows.column(column) / 100,
        plain_features(table, rows.X),
        count_macs(space, rows.X).astype(float),
    )


def plain_features(table: str, X: IntArray) -> FloatArray:
    if table == "ofa_mbv3_dynast_acc":  # depth, and the pair of genes of each used slot
        stages = X.reshape(len(X), 5, 9)
        depth, pairs = stages[:, :, 0], 3 * stages[:, :, 1::2] + stages[:, :, 2::2]
        used = np.arange(4) < depth[:, :, None] + 2
        X = np.hstack([depth, np.where(used, pairs, -1).reshape(len(X), -1)])
    return np.hstack([X[:, [i]] == np.unique(X[:, i]) for i in range(X.shape[1])]).astype(float)


def plain_process(F: FloatArray, y: FloatArray, G: FloatArray) -> FloatArray:
    kernel = ConstantKernel(1.0) * Matern(np.sqrt(F.shape[1]), (0.05, 1e3), nu=1.5)
    process = GaussianProcessRegressor(kernel + WhiteKernel(0.1), normalize_y=True, random_state=0)
    return np.asarray(process.fit(F, y).predict(G))


def baselines(F: FloatArray, y: FloatArray, G: FloatArray) -> dict[str, FloatArray]:
    """What plain predictors say of plain features G, learned from F and y."""
    found = {
        "ridge": RidgeCV(np.logspace(-2, 4, 25)).fit(F, y).predict(G),
        "gaussian process": plain_process(F, y, G),
        "random forest": RandomForestRegressor(300, random_state=0).fit(F, y).predict(G),
    }
    if importlib.util.find_spec("xgboost") is not None:
        xgboost = importlib.import_module("xgboost")
        found["xgboost"] = xgboost.XGBRegressor(n_jobs=1, random_state=0).fit(F, y).predict(G)
    return found


def tau(predicted: FloatArray, measured: FloatArray) -> float:
    return float(kendalltau(predicted, measured).statistic)


def draw(job: tuple[str, int, int]) -> list[dict[str, object]]:
    """Every predictor on one table, size and seed."""
    import warnings

    warnings.simplefilter("ignore")  # of the baselines: parameters at their bounds
    table, n, seed = job
    X, y, plain, macs = loaded(table)
    space = spaces.get(TABLES[table][0])
    rows = np.random.default_rng(seed).permutation(len(y))
    known, rest = rows[:n], rows[n : n + N_RANKED]
    head = {"table": table, "size": n, "seed": seed}
    auto = accuracy_predictor("auto", space).fit(X[known], y[known]).predict(X[rest])
    low, high = auto.interval(0.9)
    coverage = float(np.mean((low <= y[rest]) & (y[rest] <= high)))
    found: list[dict[str, object]] = [
        {**head, "model": "auto", "tau": tau(auto.mean, y[rest]), "coverage_90": coverage}
    ]
    others = baselines(plain[known], y[known], plain[rest]) | {"MACs": macs[rest]}
    found += [{**head, "model": m, "tau": tau(p, y[rest])} for m, p in others.items()]
    if seed < DRAWS_ALONE:
        for name, model in MODELS.items():
            alone = AccuracyPredictor(space, (model,)).fit(X[known], y[known]).predict(X[rest])
            low, high = alone.interval(0.9)
            coverage = float(np.mean((low <= y[rest]) & (y[rest] <= high)))
            found.append(
                {
                    **head,
                    "model": f"  {name}",
                    "tau": tau(alone.mean, y[rest]),
                    "coverage_90": coverage,
                }
            )
    return found


def cells(frame: pd.DataFrame, table: str, model: str, size: int) -> tuple[float, float, float]:
    """Mean tau, its standard error and mean coverage."""
    chosen = frame[(frame["table"] == table) & (frame["model"] == model) & (frame["size"] == size)]
    taus = chosen["tau"].to_numpy(np.float64)
    error = taus.std(ddof=1) / np.sqrt(len(taus)) if len(taus) > 1 else np.nan
    return float(taus.mean()), float(error), float(chosen["coverage_90"].mean())


def report(frame: pd.DataFrame, draws: int) -> tuple[dict[str, dict[str, object]], list[str]]:
    """Prints all; returns it, and the bars that were missed."""
    result: dict[str, dict[str, object]] = {}
    missed = []
    for table in TABLES:
        print(f"\n{table}: {TABLES[table][1]}, {draws} draws, tau ± standard error")
        print(f"{'samples':<22}" + "".join(f"{n:>14}" for n in SIZES))
        models = list(dict.fromkeys(frame.loc[frame["table"] == table, "model"]))
        found = {model: [cells(frame, table, model, n) for n in SIZES] for model in models}
        for model, row in found.items():
            print(f"{model:<22}" + "".join(f"{m:>8.3f}±{e:.3f}" for m, e, _ in row))
        print(f"{'auto, coverage 90 %':<22}" + "".join(f"{c:>14.3f}" for *_, c in found["auto"]))
        result[table] = {
            model.strip(): {
                str(n): {"tau": m, "standard_error": e}
                | ({} if np.isnan(c) else {"coverage_90": c})
                for n, (m, e, c) in zip(SIZES, row, strict=True)
            }
            for model, row in found.items()
        }
        for i, n in enumerate(SIZES):
            own, _, covered = found["auto"][i]
            plain = {m: row[i] for m, row in found.items() if m != "auto" and m[0] != " "}
            best = max(plain, key=lambda m: plain[m][0])
            if own < plain[best][0] - plain[best][1]:
                missed.append(f"{table}, {n}: {best} is better ({plain[best][0]:.3f} > {own:.3f})")
            if own < BARS.get((table, n), -1.0):
                missed.append(f"{table}, {n}: {own:.3f} < {BARS[table, n]}")
            if not 0.85 <= covered <= 0.95:
                missed.append(f"{table}, {n}: coverage {covered:.3f}")
    return result, missed


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--draws", type=int, default=20)
    arguments = parser.parse_args()
    jobs = [
        (table, n, seed)
        for n in reversed(SIZES)  # the longest first
        for table in TABLES
        for seed in range(arguments.draws)
    ]
    found: list[dict[str, object]] = []
    with ProcessPoolExecutor(2) as pool:
        for done, rows in enumerate(pool.map(draw, jobs), start=1):
            found += rows
            print(f"{done} of {len(jobs)} draws", end="\033[K\r", flush=True, file=sys.stderr)
    result, missed = report(pd.DataFrame(found), arguments.draws)
    for line in missed:
        print(f"MISSED {line}")
    write_result(arguments.json, {**result, "missed": missed})
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
