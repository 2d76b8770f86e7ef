"""Networks of a chain that are trained alone, by the recipe of supernets."""

from functools import cached_property
from pathlib import Path

import numpy as np

from tailorbird.progress import TerminalProgress
from tailorbird.spaces import IntArray, Piece
from tailorbird.spaces.chains import Chain
from tailorbird.spaces.footprint import count_macs
from tailorbird.training import Dataset, SupernetTraining, Trained, train_supernet


class Alone(Chain):
    """A chain that has no weights but those of one of its networks, which is every one drawn.

    So a network alone has the steps, images, optimizer and calibrated norms of a supernet, and
    weights that start as those of any plain module.

    Args:
        space: of the network.
        row: of the network, (d,).
    """

    def __init__(self, space: Chain, row: IntArray) -> None:
        super().__init__(space.layout)
        self.name = f"{space.name}: {space.describe(row)}"
        self._row = row

    @property
    def landmarks(self) -> IntArray:
        return self._row[None]

    @cached_property
    def pieces(self) -> tuple[Piece, ...]:
        return self.route(self._row)

    def sample(self, n: int, rng: np.random.Generator) -> IntArray:
        return np.tile(self._row, (n, 1))


def trained_alone(
    space: Chain, row: IntArray, dataset: Dataset, epochs: int, seed: int, folder: Path
) -> Trained:
    """A network trained alone, or loaded from the folder of all that are."""
    settings = SupernetTraining(epochs, seed, rule="single-path", routes="uniform")
    own = folder / f"{epochs}-epochs-seed-{seed}" / "-".join(map(str, row))
    return train_supernet(Alone(space, row), dataset, settings, own, TerminalProgress())


def spread_over_sizes(space: Chain, n: int) -> IntArray:
    """Networks at even distances of log MACs, the smallest and the largest among them, (n, d)."""
    X = np.concatenate(list(space.enumerate()))
    log_macs = np.log(count_macs(space, X))
    wanted = np.linspace(log_macs.min(), log_macs.max(), n)
    return X[[int(np.abs(log_macs - value).argmin()) for value in wanted]]
