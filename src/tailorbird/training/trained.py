"""A space whose networks have weights."""

import copy
import hashlib

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

    @property
    def fingerprint(self) -> str:
        """Twelve hex digits that change with any weight."""
        digest = hashlib.sha256()
        for name, tensor in self.network.state_dict().items():
            digest.update(name.encode() + tensor.numpy().tobytes())
        return digest.hexdigest()[:12]

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

    def evaluate(self, X: IntArray, split: Split) -> NDArray[np.float64]:
        """Share of a split's images that each canonical row's network gets right, (n,)."""
        images = torch.from_numpy(split.images)
        accuracies = []
        for row in X:
            with torch.inference_mode():
                predicted = self.extract(row)(images).argmax(dim=1)
            accuracies.append(float((predicted.numpy() == split.labels).mean()))
        return np.array(accuracies)


def accuracy_std(accuracy: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """Binomial standard error of accuracies measured on n images, (k,).

    It is the spread of the posterior under a uniform prior, Beta(correct + 1, wrong + 1), which
    unlike sqrt(p(1 - p)/n) does not vanish where all answers happened to be right.
    """
    p = (accuracy * n + 1) / (n + 2)
    return np.asarray(np.sqrt(p * (1 - p) / (n + 3)))
