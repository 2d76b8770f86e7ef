"""Steps that 5, 20 and 50 networks of many sizes take: stitched, elastic, or each trained alone.

Networks for 8x8 digits, along the front over multiply-adds. Stitched networks are those of
digits-resnet, whose four anchors are trained alone in two fifths of all epochs; subnetworks are
those of digits-elastic, a supernet of the largest anchor's blocks. Both are trained with several
totals of epochs of one network. Six networks of digits-elastic, evenly spread over log MACs, are
trained alone for several numbers of epochs; between them accuracy is interpolated, over log MACs
and over log epochs. Batch size, augmentation, optimizer and rates are the same.

An accuracy is the mean, over fifty budgets of multiply-adds that are evenly spread over their
logarithm where all ways have networks, of the test accuracy of the network that has the highest
validation accuracy within the budget. For each total the epochs are found in which a network alone
gets as far, and so how many networks alone cost as much as all networks that share weights: with
fewer than these, training each alone is cheaper. No goal: README gives the advice that follows.

Figures are means over seeds with 95 % intervals (Student's t). All that is trained is kept in
--folder and picked up.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from scripts import command_line, write_result
from scripts.alone import spread_over_sizes, trained_alone
from scripts.seeds import cell, with_interval

from tailorbird import spaces
from tailorbird.progress import TerminalProgress
from tailorbird.spaces import FloatArray, IntArray, SharedSpace
from tailorbird.spaces.chains import Chain
from tailorbird.spaces.footprint import count_macs
from tailorbird.spaces.stitching import StitchSpace
from tailorbird.training import SupernetTraining, Trained, Training, digits, train, train_supernet

TOTALS = (75, 150, 300)
EPOCHS_ALONE = (3, 6, 12, 25, 50, 100)
N_SIZES = 6
N_BUDGETS = 50
NETWORKS = (5, 20, 50)
DATASET = digits.load()


@dataclass(frozen=True, eq=False)
class Networks:
    """Networks with what they cost and how well they do.

    Attributes:
        macs: of each, (n,).
        validation: accuracy, (n,).
        test: likewise.
    """

    macs: FloatArray
    validation: FloatArray
    test: FloatArray

    @classmethod
    def of(cls, trained: Trained, X: IntArray) -> "Networks":
        """Networks of rows (n, d) that share weights."""
        macs = count_macs(trained.space, X).astype(np.float64)
        splits = (DATASET.validation, DATASET.test)
        return cls(macs, *(trained.evaluate(X, split) for split in splits))

    def within(self, budgets: FloatArray) -> float:
        """Mean test accuracy of the networks with the best validation accuracy in each budget."""
        best = [np.argmax(np.where(self.macs <= most, self.validation, -1.0)) for most in budgets]
        return float(self.test[best].mean())


def rows_of(space: SharedSpace) -> IntArray:
    """Networks of a space that are looked at: all, or those with one stitch at most, (n, d)."""
    small = space.with_at_most(1) if isinstance(space, StitchSpace) else space
    X = np.concatenate([small.landmarks, *small.enumerate()])
    padded = np.zeros((len(X), len(space.variables)), dtype=np.int64)
    padded[:, : X.shape[1]] = X
    return np.unique(padded, axis=0)


def shared(total: int, seed: int, folder: Path) -> dict[str, Networks]:
    """Stitched networks and subnetworks, trained for so many epochs of one network in all."""
    stitched, elastic = spaces.get("digits-resnet"), spaces.get("digits-elastic")
    assert isinstance(stitched, StitchSpace)
    assert isinstance(elastic, Chain)
    first = total // 10
    settings = Training(first, total - first * len(stitched.landmarks), seed)
    own = folder / f"{total}-epochs-seed-{seed}"
    progress = TerminalProgress()
    together = train(stitched, DATASET, settings, own / "stitched", progress)
    supernet = train_supernet(
        elastic, DATASET, SupernetTraining(total, seed), own / "elastic", progress
    )
    return {
        "stitched": Networks.of(together, rows_of(stitched)),
        "elastic": Networks.of(supernet, rows_of(elastic)),
    }


def alone(seed: int, budgets: FloatArray, folder: Path) -> FloatArray:
    """Mean test accuracy over budgets of networks alone, for each number of epochs, (n,)."""
    space = spaces.get("digits-elastic")
    assert isinstance(space, Chain)
    few = spread_over_sizes(space, N_SIZES)
    log_macs = np.log(count_macs(space, few))
    means = []
    for epochs in EPOCHS_ALONE:
        made = (trained_alone(space, row, DATASET, epochs, seed, folder / "alone") for row in few)
        accuracy = [
            float(m.evaluate(r[None], DATASET.test)[0]) for m, r in zip(made, few, strict=True)
        ]
        means.append(np.interp(np.log(budgets), log_macs, accuracy).mean())
    return np.array(means)


def epochs_alone_for(accuracy: float, means: FloatArray) -> float:
    """Epochs in which networks alone have an accuracy; beyond those that were tried, NaN."""
    rising = np.maximum.accumulate(means)
    if not rising[0] <= accuracy <= rising[-1]:
        return float("nan")
    return float(np.exp(np.interp(accuracy, rising, np.log(EPOCHS_ALONE))))


def cross_over(
    name: str, accuracies: FloatArray, total: int, means: FloatArray
) -> dict[str, object]:
    """Prints how many networks alone cost as much as all that share weights, and returns it.

    Args:
        name: of the way.
        accuracies: it has, (seeds,).
        total: epochs of one network that it took.
        means: accuracies of networks alone, (seeds, numbers of epochs).
    """
    accuracy = with_interval(accuracies)
    epochs = epochs_alone_for(float(accuracies.mean()), means.mean(axis=0))
    n = total / epochs
    steps = "".join(f"{k * epochs:9.0f}" for k in NETWORKS)
    print(f"{name:<10}{total:7} {cell(accuracy)}{epochs:10.1f}{steps}{n:11.1f}", flush=True)
    return {"accuracy": accuracy, "epochs_alone": epochs, "networks": n}


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path("runs/bench/stitching_budget"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    made = {
        (total, seed): shared(total, seed, arguments.folder)
        for total in TOTALS
        for seed in range(arguments.seeds)
    }
    every = [networks for ways in made.values() for networks in ways.values()]
    low, high = (max(n.macs.min() for n in every), min(n.macs.max() for n in every))
    budgets = np.geomspace(low, high, N_BUDGETS)
    means = np.array([alone(seed, budgets, arguments.folder) for seed in range(arguments.seeds)])
    print(f"Digits, {arguments.seeds} seeds, {N_BUDGETS} budgets of {low:,.0f} to {high:,.0f} MACs")
    print("Networks alone, epochs: accuracy, %")
    for epochs, accuracy in zip(EPOCHS_ALONE, means.T, strict=True):
        print(f"{epochs:7} {cell(with_interval(accuracy))}")
    each = "".join(f"{f'{n} alone':>9}" for n in NETWORKS)
    print(f"{'':<10}{'epochs':>7} {'accuracy, %':<19}{'alone each':>10}{each}{'cross-over':>11}")
    result = dict[str, Mapping[str, object]]()
    for name in ("stitched", "elastic"):
        for total in TOTALS:
            accuracies = np.array(
                [made[total, seed][name].within(budgets) for seed in range(arguments.seeds)]
            )
            result[f"{name} {total}"] = cross_over(name, accuracies, total, means)
    facts = {"seeds": arguments.seeds, "epochs_alone": EPOCHS_ALONE, "alone": means.tolist()}
    write_result(arguments.json, {**facts, "ways": result})


if __name__ == "__main__":
    main()
