"""How well scores of untrained networks rank NAS-Bench-201 by trained accuracy.

Of 200 distinct cells, drawn at random with a seed, networks of the full size (5 cells a stage, 16
channels) get fresh weights and are scored on one batch of 32 images drawn at random from the
training split of CIFAR-10 as JPEG. The dead cell is not drawn: it outputs zeros, so that no score
of its activations exists. Accuracies are those of the test images after 12 epochs, averaged over
the published rows of a cell. Size alone says less of these than of accuracies after 200 epochs:
the Spearman correlation of MACs is 0.55 over all 9,445 distinct cells.

Intervals are BCa bootstraps over networks: they hold the luck of the draw of networks, not of
weights and images. Seconds are means per network on one thread of one core, building included. MACs
and parameters are the baselines. Figures beside are Spearman correlations that were published for
accuracies after 200 epochs and other batches, from memory and unverified: they are no target.
"""

import os
import platform
import time
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import numpy as np
import scipy
import torch
from scipy.stats import bootstrap, spearmanr
from scripts import command_line, write_result

from tailorbird import spaces
from tailorbird.latency_tables.devices.device import find
from tailorbird.predictors.accuracy.zero_cost import scores, zero_cost_scores
from tailorbird.predictors.metrics import kendall_tau
from tailorbird.progress import NoProgress, TerminalProgress
from tailorbird.published.data_folder import data_folder
from tailorbird.published.rows import published_rows
from tailorbird.registry.zero_cost_scores import ZERO_COST_SCORES
from tailorbird.spaces import FloatArray
from tailorbird.training.data import cifar10
from tailorbird.training.data.images import inputs

N_NETWORKS = 200
N_IMAGES = 32
N_RESAMPLES = 2000
ACCURACY = "c10_test_12ep"

PUBLISHED = {
    "gradsign": "0.765, Zhang & Jia 2022",
    "gradient_norm": "0.58, Abdelfattah et al. 2021",
    "synflow": "0.74, Abdelfattah et al. 2021",
}


def spearman_rho(a: FloatArray, b: FloatArray) -> float:
    return float(spearmanr(a, b).statistic)


STATISTICS = {"kendall_tau": kendall_tau, "spearman_rho": spearman_rho}


def correlations(score: FloatArray, accuracy: FloatArray) -> dict[str, Any]:
    """Each rank correlation with its 95 % interval."""
    found: dict[str, Any] = {}
    for name, statistic in STATISTICS.items():
        result = bootstrap(
            (score, accuracy),
            statistic,
            paired=True,
            vectorized=False,
            n_resamples=N_RESAMPLES,
            rng=np.random.default_rng(0),
        )
        found[name] = statistic(score, accuracy)
        found[f"{name}_95"] = [float(end) for end in result.confidence_interval]
    return found


def cell(row: dict[str, Any], name: str) -> str:
    low, high = row[f"{name}_95"]
    return f"{row[name]:7.3f} ({low:.3f} to {high:.3f})"


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rng = np.random.default_rng(arguments.seed)
    space = spaces.get("nasbench201")
    published = published_rows(space, data_folder())
    alive = np.flatnonzero(published.X.any(axis=1))
    drawn = rng.choice(alive, N_NETWORKS, replace=False)
    X, accuracy = published.X[drawn], published.column(ACCURACY)[drawn]
    train = cifar10.load(data_folder()).train
    index = rng.choice(len(train.labels), N_IMAGES, replace=False)  # they lie sorted by label
    images, labels = inputs(train, index).numpy(), train.labels[index]
    functions = zero_cost_scores(tuple(ZERO_COST_SCORES))
    scores(space, X[:1], images, labels, functions, arguments.seed, NoProgress())  # loads late
    rows: list[dict[str, Any]] = []
    for name, function in functions.items():
        begin = time.perf_counter()
        found = scores(
            space, X, images, labels, {name: function}, arguments.seed, TerminalProgress()
        )
        seconds = (time.perf_counter() - begin) / len(X)
        rows.append(
            {
                "score": name,
                **correlations(found[:, 0], accuracy),
                "seconds_per_network": seconds,
                "published_spearman_rho_unverified": PUBLISHED.get(name),
            }
        )
    head = f"{'score':<16}{'Kendall tau':^26}{'Spearman rho':^26}{'s/network':>10}"
    print(f"{head}  published rho, unverified")
    for row in rows:
        cells = "".join(f"{cell(row, name):<26}" for name in STATISTICS)
        seconds_text = f"{row['seconds_per_network']:10.3f}"
        print(f"{row['score']:<16}{cells}{seconds_text}  {PUBLISHED.get(str(row['score']), '-')}")
    facts = {
        "cpu": find("local", threads=1).cpu,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "space": space.name,
        "accuracy": ACCURACY,
        "n_networks": N_NETWORKS,
        "n_images": N_IMAGES,
        "n_resamples": N_RESAMPLES,
        "seed": arguments.seed,
        "threads": 1,
    }
    write_result(arguments.json, {**facts, "scores": rows})


if __name__ == "__main__":
    main()
