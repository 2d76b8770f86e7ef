"""Rank correlation on a device of which only ten networks were timed, each device left out once.

Every column of latencies in the HELP tables for NAS-Bench-201 and FBNet is the new device once;
the pool is all others on 900 random architectures. Then devices are left out with all others of
their kind, GPUs (of each the column of one image), CPUs and phones: the pool is of other kinds.
Made-up devices, see `made_up_costs`, belong to every pool, but in the lines `without`.

Ten networks of the new device are drawn at random, or chosen by `FewShotLatency.suggest` from 5,000
random candidates; Spearman's correlation and the coverage of 90 % intervals are taken over all
networks that were not timed.

Beside it: the plain way (8 principal components of the pool's latencies, each device smoothed by
ridge on genes and their pairs, then Bayesian ridge on the ten), and the oracle, ridge with pairs on
4,000 samples of the device itself, which knows what ten samples cannot. HELP's published means
are on other devices, its own test devices, and with the pool's 900 architectures as well.

Rows are taken as published, not as distinct architectures: in NAS-Bench-201 dead edges ran when
networks were timed. Exits with 1 if a mean ratio to the oracle is below its bar, or
mean coverage is not within 85 and 95 %, over all devices or over those of one kind.
"""

import os
import sys
from dataclasses import dataclass

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
from scipy.stats import bootstrap, spearmanr
from scripts import command_line, write_result
from sklearn.decomposition import PCA
from sklearn.linear_model import BayesianRidge

from tailorbird import spaces
from tailorbird.predictors import FewShotLatency
from tailorbird.predictors.latency.made_up_devices import made_up_costs
from tailorbird.published.data_folder import data_folder
from tailorbird.spaces import FloatArray, IntArray

TABLES = {"nb201_help_mini": "nasbench201", "fbnet_help": "fbnet"}
N_POOL, N_TIMED, N_ORACLE, N_CANDIDATES, N_COVERED = 900, 10, 4000, 5000, 1000
RANDOM_BAR, SUGGESTED_BAR = 0.985, 0.99
UNLIKE_RANDOM_BAR, UNLIKE_SUGGESTED_BAR = 0.98, 0.985
KINDS = {
    "gpu": ("1080ti_1", "2080ti_1", "titanx_1", "titanxp_1"),
    "cpu": ("gold_6240", "silver_4114", "silver_4210r"),
    "phone": ("essential_ph_1", "pixel3", "samsung_a50", "samsung_s7"),
}
N_OF_UNLIKE = 3000  # architectures that ranks are taken over where kinds are left out
HELP_RHO = {"nb201_help_mini": 0.932, "fbnet_help": 0.910}
RIDGES = np.logspace(-4, 1, 11)


@dataclass(frozen=True)
class Table:
    """Rows and latencies as published."""

    name: str
    X: IntArray
    Y_ms: FloatArray
    costs: FloatArray
    devices: list[str]

    @classmethod
    def read(cls, name: str) -> "Table":
        frame = pd.read_parquet(data_folder() / f"{name}.parquet")
        space = spaces.get(TABLES[name])
        genes = [variable.name for variable in space.variables]
        columns = [column for column in frame if str(column).startswith("lat_ms_")]
        X = frame[genes].to_numpy(np.int64)
        return cls(
            name,
            X,
            frame[columns].to_numpy(np.float64),
            made_up_costs(space, space.repair(X)),
            [str(column).removeprefix("lat_ms_") for column in columns],
        )


def one_hot(X: IntArray) -> FloatArray:
    return np.hstack([X[:, [i]] == np.unique(X[:, i]) for i in range(X.shape[1])]).astype(float)


class PairRidge:
    """Ridge on genes and pairs of them; penalty and weight of the pairs by leaving one out."""

    def __init__(self, genes: FloatArray, n_genes: int, all_pairs: tuple[float, ...]) -> None:
        self.genes, self.n_genes = genes, n_genes
        self.spectra = {pairs: np.linalg.eigh(self.kernel(genes, pairs)) for pairs in all_pairs}

    def kernel(self, genes: FloatArray, pairs: float) -> FloatArray:
        share = genes @ self.genes.T / self.n_genes
        return np.asarray(share + pairs * share**2)

    def predict(self, Y: FloatArray, genes: FloatArray) -> FloatArray:
        """For genes (m, p) from targets Y (n, k) of what it was made with, (m, k)."""
        kernels = {pairs: self.kernel(genes, pairs) for pairs in self.spectra}
        return np.column_stack([y.mean() + self._of_one(y - y.mean(), kernels) for y in Y.T])

    def _of_one(self, y: FloatArray, kernels: dict[float, FloatArray]) -> FloatArray:
        found = []
        for pairs, (values, vectors) in self.spectra.items():
            rotated = vectors.T @ y
            for ridge in RIDGES:
                kept = values / (values + ridge)
                left_out = (y - vectors @ (kept * rotated)) / (1 - np.square(vectors) @ kept)
                found.append((float(np.square(left_out).mean()), pairs, ridge))
        _, pairs, ridge = min(found)
        values, vectors = self.spectra[pairs]
        return np.asarray(kernels[pairs] @ (vectors @ ((vectors.T @ y) / (values + ridge))))


def rho(predicted: FloatArray, measured: FloatArray) -> float:
    return float(spearmanr(predicted, measured).statistic)


def oracles_of(table: Table) -> FloatArray:
    rows = np.random.default_rng(0).permutation(len(table.X))
    known, rest = rows[:N_ORACLE], rows[N_ORACLE:]
    genes = one_hot(table.X)
    ridge = PairRidge(genes[known], table.X.shape[1], (0.1, 1.0))
    predicted = ridge.predict(table.Y_ms[known], genes[rest])
    return np.array([rho(*pair) for pair in zip(predicted.T, table.Y_ms[rest].T, strict=True)])


def draw(table: Table, seed: int) -> list[dict[str, float]]:
    """What each device gives in one draw."""
    rng = np.random.default_rng(seed)
    pool = rng.choice(len(table.X), N_POOL, replace=False)
    genes = one_hot(table.X)
    smooth = PairRidge(genes[pool], table.X.shape[1], (1.0,)).predict(table.Y_ms[pool], genes)
    found = []
    for device in range(len(table.devices)):
        y_ms, others = table.Y_ms[:, device], np.delete(np.arange(len(table.devices)), device)
        few_shot = FewShotLatency(
            table.X[pool], table.Y_ms[pool][:, others], costs=table.costs[pool]
        )
        timed = rng.choice(len(table.X), N_TIMED, replace=False)
        candidates = rng.permutation(len(table.X))[:N_CANDIDATES]
        suggested = candidates[few_shot.suggest(table.X[candidates], N_TIMED)]
        row = {}
        for name, chosen in (("random", timed), ("suggested", suggested)):
            rest = np.setdiff1d(np.arange(len(table.X)), chosen)
            few_shot.fit(table.X[chosen], y_ms[chosen])
            row[f"rho_{name}"] = rho(few_shot.mean(table.X[rest]), y_ms[rest])
            some = rng.permutation(rest)[:N_COVERED]
            low, high = few_shot.predict(table.X[some]).interval(0.9)
            row[f"coverage_90_{name}"] = float(np.mean((low <= y_ms[some]) & (y_ms[some] <= high)))
        parts = smooth[:, others]
        components = PCA(8).fit_transform((parts - parts.mean(axis=0)) / parts.std(axis=0))
        plain = BayesianRidge().fit(components[timed], y_ms[timed]).predict(components)
        rest = np.setdiff1d(np.arange(len(table.X)), timed)
        found.append({**row, "rho_pca": rho(plain[rest], y_ms[rest])})
        print(f"{table.name}: draw {seed}, {table.devices[device]}", end="\033[K\r", flush=True)
    return found


def unlike(table: Table, seed: int) -> list[dict[str, object]]:
    """What devices give in one draw of which all others of their kind are left out, too."""
    rng = np.random.default_rng([seed, 1])
    pool = rng.choice(len(table.X), N_POOL, replace=False)
    kind_of = {name: kind for kind, names in KINDS.items() for name in names}
    every = [kind_of.get(name, "gpu") for name in table.devices]  # others are its larger batches
    found: list[dict[str, object]] = []
    for name, kind in kind_of.items():
        y_ms = table.Y_ms[:, table.devices.index(name)]
        others = np.flatnonzero(np.array(every) != kind)
        timed = rng.choice(len(table.X), N_TIMED, replace=False)
        candidates = rng.permutation(len(table.X))[:N_CANDIDATES]
        row: dict[str, object] = {"kind": kind, "device": name}
        for costs in (table.costs[pool], None):
            few_shot = FewShotLatency(table.X[pool], table.Y_ms[pool][:, others], costs=costs)
            suggested = candidates[few_shot.suggest(table.X[candidates], N_TIMED)]
            for how, chosen in (("random", timed), ("suggested", suggested)):
                rest = np.setdiff1d(np.arange(len(table.X)), chosen)
                rest = rng.permutation(rest)[:N_OF_UNLIKE]
                few_shot.fit(table.X[chosen], y_ms[chosen])
                key = how if costs is not None else f"{how} without"
                row[f"rho {key}"] = rho(few_shot.mean(table.X[rest]), y_ms[rest])
                some = rest[:N_COVERED]
                low, high = few_shot.predict(table.X[some]).interval(0.9)
                row[f"coverage {key}"] = float(np.mean((low <= y_ms[some]) & (y_ms[some] <= high)))
        found.append(row)
        print(f"{table.name}: draw {seed}, no {kind} for {name}", end="\033[K\r", flush=True)
    return found


def evaluate_unlike(table: Table, draws: int, oracles: FloatArray) -> dict[str, dict[str, float]]:
    """Ratios to the oracle and coverages by kind of device, with and without made-up devices."""
    rows = pd.DataFrame([row for seed in range(draws) for row in unlike(table, seed)])
    oracle = rows["device"].map(dict(zip(table.devices, oracles, strict=True)))
    for column in [column for column in rows if str(column).startswith("rho ")]:
        rows[column] /= oracle
    means = rows.groupby("kind").mean(numeric_only=True)
    print(f"{table.name}, kinds left out whole: ratio to the oracle (coverage of 90 %)\033[K")
    for kind, of in means.iterrows():
        cells = [
            f"{how} {of[f'rho {how}']:.3f} ({of[f'coverage {how}']:.2f})"
            for how in ("random", "suggested", "random without", "suggested without")
        ]
        print(f"{kind:<8}{'   '.join(cells)}")
    return {str(kind): {str(k): float(v) for k, v in of.items()} for kind, of in means.iterrows()}


def interval(values: FloatArray) -> list[float]:
    """95 % for a mean over devices."""
    found = bootstrap((values,), np.mean, random_state=0, method="percentile").confidence_interval
    return [float(found.low), float(found.high)]


def evaluate(table: Table, draws: int) -> dict[str, object]:
    oracles = oracles_of(table)
    frames = [pd.DataFrame(draw(table, seed)) for seed in range(draws)]
    by_device = pd.concat(frames).groupby(level=0).mean()
    ratios = {
        kind: by_device[f"rho_{kind}"].to_numpy() / oracles
        for kind in ("random", "suggested", "pca")
    }
    print(f"\n{table.name}, {draws} draws of {N_TIMED}\033[K")
    print(
        f"{'device':<18}{'oracle':>8}{'random':>9}{'suggested':>11}{'PCA':>7}{'coverage 90 %':>17}"
    )
    for i, name in enumerate(table.devices):
        row = by_device.loc[i]
        print(
            f"{name:<18}{oracles[i]:8.3f}{row['rho_random']:9.3f}{row['rho_suggested']:11.3f}"
            f"{row['rho_pca']:7.3f}{row['coverage_90_random']:9.2f}"
            f"{row['coverage_90_suggested']:8.2f}"
        )
    means = by_device.mean()
    print(
        f"{'mean':<18}{oracles.mean():8.3f}{means['rho_random']:9.3f}{means['rho_suggested']:11.3f}"
        f"{means['rho_pca']:7.3f}{means['coverage_90_random']:9.2f}"
        f"{means['coverage_90_suggested']:8.2f}   (HELP, published: {HELP_RHO[table.name]})"
    )
    for kind, ratio in ratios.items():
        low, high = interval(ratio)
        print(f"mean ratio to the oracle, {kind:<9} {ratio.mean():.4f} [{low:.4f}, {high:.4f}]")
    return {
        "mean_rho": float(means["rho_random"]),
        "mean_rho_over_oracle": float(ratios["random"].mean()),
        "mean_rho_over_oracle_interval": interval(ratios["random"]),
        "mean_rho_suggested": float(means["rho_suggested"]),
        "mean_rho_over_oracle_suggested": float(ratios["suggested"].mean()),
        "mean_rho_over_oracle_suggested_interval": interval(ratios["suggested"]),
        "mean_rho_pca": float(means["rho_pca"]),
        "mean_rho_over_oracle_pca": float(ratios["pca"].mean()),
        "mean_rho_oracle": float(oracles.mean()),
        "mean_rho_help_published": HELP_RHO[table.name],
        "unlike": evaluate_unlike(table, draws, oracles),
        "coverage_90": float(means["coverage_90_random"]),
        "coverage_90_suggested": float(means["coverage_90_suggested"]),
        "per_device": {
            name: {"rho_oracle": float(oracles[i]), **by_device.loc[i].to_dict()}
            for i, name in enumerate(table.devices)
        },
    }


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--draws", type=int, default=10)
    arguments = parser.parse_args()
    result = {name: evaluate(Table.read(name), arguments.draws) for name in TABLES}
    write_result(arguments.json, result)
    missed = [
        f"{name}: {key} = {result[name][key]:.4f} < {bar}"
        for name in TABLES
        for key, bar in (
            ("mean_rho_over_oracle", RANDOM_BAR),
            ("mean_rho_over_oracle_suggested", SUGGESTED_BAR),
        )
        if float(str(result[name][key])) < bar
    ]
    missed += [
        f"{name}: {key} = {result[name][key]:.3f} is not within 0.85 and 0.95"
        for name in TABLES
        for key in ("coverage_90", "coverage_90_suggested")
        if not 0.85 <= float(str(result[name][key])) <= 0.95
    ]
    for name in TABLES:
        for kind, of in dict(result[name]["unlike"]).items():  # type: ignore[call-overload]  # a dict
            for how, bar in (("random", UNLIKE_RANDOM_BAR), ("suggested", UNLIKE_SUGGESTED_BAR)):
                if of[f"rho {how}"] < bar:
                    missed.append(f"{name}, no {kind}: {how} {of[f'rho {how}']:.3f} < {bar}")
                if not 0.85 <= of[f"coverage {how}"] <= 0.95:
                    missed.append(f"{name}, no {kind}: {how} covers {of[f'coverage {how}']:.2f}")
    for line in missed:
        print(f"MISSED {line}")
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
