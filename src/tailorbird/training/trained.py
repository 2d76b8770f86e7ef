"""A space whose networks have weights."""

import copy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tailorbird.spaces import IntArray
from tailorbird.spaces.stitching import StitchSpace
from tailorbird.training.dataset import Split
from tailorbird.training.network import StitchedNetwork


class Trained:
    """Any network of a stitch space, with its weights.

    Args:
        space: what can be built.
        network: all parts, trained.
        train: images on which batch norm is calibrated.
    """

    def __init__(self, space: StitchSpace, network: StitchedNetwork, train: Split) -> None:
        self.space = space
        self.network = network.eval()
        self._images = torch.from_numpy(train.images)

    def extract(self, row: IntArray) -> nn.Sequential:
        """The network of one canonical row: plain, in evaluation mode, with weights of its own.

        Routes share weights but not activations, so the statistics of its batch norms are taken
        anew, on the training images.

        References:
            Yu, Huang: Universally Slimmable Networks. ICCV 2019, section 3.3.
        """
        modules = self.network.modules_of(self.space.route(row))
        network = nn.Sequential(*copy.deepcopy(modules)).eval()
        norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # a plain average
            norm.train()
        with torch.no_grad():
            network(self._images)
        return network.eval()

    def count_correct(self, row: IntArray, split: Split) -> int:
        """How many images of a split the network of one canonical row classifies correctly."""
        with torch.inference_mode():
            predicted = self.extract(row)(torch.from_numpy(split.images)).argmax(dim=1)
        return int((predicted.numpy() == split.labels).sum())


def accuracy(n_correct: NDArray[np.int64], n: int) -> NDArray[np.float64]:
    """Share of correct answers."""
    return n_correct / n


def accuracy_std(n_correct: NDArray[np.int64], n: int) -> NDArray[np.float64]:
    """Binomial standard error of an accuracy, as the spread of its posterior.

    With a uniform prior the posterior is Beta(c + 1, n - c + 1). Unlike sqrt(p(1-p)/n) its
    spread does not vanish where all answers happened to be right.
    """
    p = (n_correct + 1) / (n + 2)
    return np.sqrt(p * (1 - p) / (n + 3))
