"""Small real networks and data that tests of training share."""

from dataclasses import replace

import pytest
import torch
from arrays import arrays
from torch import nn

from tailorbird.spaces.stitching import StitchSpace, Windows
from tailorbird.spaces.stitching.families.digits_resnet import DigitsResNet
from tailorbird.training import Dataset, Split, Trained
from tailorbird.training.data import digits
from tailorbird.training.shared.network import SharedNetwork


@pytest.fixture
def small_space() -> StitchSpace:
    """Two anchors of three blocks; stitching layers are shared by up to three pairs of blocks."""
    return StitchSpace(DigitsResNet(2, widths=(4, 8), depth=3), Windows(2, 1), max_stitches=1)


@pytest.fixture
def few_digits() -> Dataset:
    """A hundred training images."""
    data = digits.load()
    return replace(data, train=Split(arrays(data.train).images[:100], data.train.labels[:100]))


@pytest.fixture
def one_stitch() -> StitchSpace:
    """The demo without its largest anchor, and with one stitch at most."""
    return StitchSpace(DigitsResNet(2, widths=(4, 8, 16)), Windows(3, 1), max_stitches=1)


@pytest.fixture
def varied(one_stitch: StitchSpace) -> Trained:
    """Untrained networks whose norms all differ."""
    torch.manual_seed(0)
    network = SharedNetwork(one_stitch)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias)
            nn.init.normal_(module.get_buffer("running_mean"))
            nn.init.uniform_(module.get_buffer("running_var"), 0.5, 2.0)
    data = digits.load()
    return Trained(
        one_stitch, network, Split(arrays(data.train).images[:100], data.train.labels[:100])
    )
