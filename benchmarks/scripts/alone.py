"""Networks of a chain that are trained alone, by the recipe of supernets."""

from pathlib import Path

import numpy as np

from tailorbird.progress import TerminalProgress
from tailorbird.spaces import IntArray
from tailorbird.spaces.chains import Chain
from tailorbird.spaces.footprint import count_macs
from tailorbird.training import Dataset, SupernetTraining, Trained, train_supernet
from tailorbird.training.finetuning.one_network import OneNetwork


def trained_alone(
    space: Chain, row: IntArray, dataset: Dataset, epochs: int, seed: int, folder: Path
) -> Trained:
    """A network trained alone, or loaded from the folder of all that are."""
    settings = SupernetTraining(epochs, seed, rule="single-path", routes="uniform")
    own = folder / f"{epochs}-epochs-seed-{seed}" / "-".join(map(str, row))
    return train_supernet(OneNetwork(space, row), dataset, settings, own, TerminalProgress())


def spread_over_sizes(space: Chain, n: int) -> IntArray:
    """Networks at even distances of log MACs, the smallest and the largest among them, (n, d)."""
    X = np.concatenate(list(space.enumerate()))
    log_macs = np.log(count_macs(space, X))
    wanted = np.linspace(log_macs.min(), log_macs.max(), n)
    return X[[int(np.abs(log_macs - value).argmin()) for value in wanted]]
