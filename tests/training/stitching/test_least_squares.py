from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from tailorbird.spaces.stitching import Part, StitchSpace
from tailorbird.training import Split
from tailorbird.training.shared.network import SharedNetwork
from tailorbird.training.stitching.least_squares import initialise_stitches

Rows = NDArray[np.float64]


@pytest.fixture
def images() -> Split:
    """Three batches, the last one smaller."""
    pixels = np.random.default_rng(0).normal(size=(80, 1, 8, 8)).astype(np.float32)
    return Split(pixels, np.zeros(80, dtype=np.int64))


@pytest.fixture
def network(small_space: StitchSpace) -> SharedNetwork:
    torch.manual_seed(0)
    return SharedNetwork(small_space)


def states(network: SharedNetwork, anchor: int, split: Split) -> list[Rows]:
    """Rows of what goes into each block of an anchor, and comes out of the last."""
    parts = [Part("embedding", anchor), *(Part("block", anchor, i) for i in range(3))]
    x = torch.from_numpy(split.images)
    found = []
    with torch.no_grad():
        for module in (network.eval().parts[str(part)] for part in parts):
            x = module(x)
            found.append(x.movedim(1, -1).flatten(0, -2).double().numpy())
    return found


def problem(
    space: StitchSpace, network: SharedNetwork, part: Part, split: Split
) -> tuple[Rows, Rows]:
    """All pairs of blocks that share a layer, in one."""
    small, large = (states(network, a, split) for a in (0, 1))
    pairs = [s for s in space.stitches if s.part == part]
    A = np.concatenate([small[s.leave + 1] for s in pairs])
    return np.c_[A, np.ones(len(A))], np.concatenate([large[s.enter] for s in pairs])


def solved(network: SharedNetwork, part: Part) -> Rows:
    """Weight and bias, (width + 1, to)."""
    layer: Any = network.parts[str(part)]
    weight, bias = layer.weight[:, :, 0, 0].detach(), layer.bias.detach()
    return np.asarray(torch.cat([weight.T, bias[None]]).double().numpy())


def test_layers_solve_one_problem_of_all_pairs_that_share_them(
    small_space: StitchSpace, network: SharedNetwork, images: Split
) -> None:
    initialise_stitches(small_space, network, images, 80)
    parts = {s.part for s in small_space.stitches}
    assert max(sum(s.part == part for s in small_space.stitches) for part in parts) > 1
    for part in parts:
        A, B = problem(small_space, network, part, images)
        expected = np.linalg.lstsq(A, B)[0]
        np.testing.assert_allclose(solved(network, part), expected, rtol=1e-4, atol=1e-5)
        alone = np.linalg.lstsq(A[: 80 * 64], B[: 80 * 64])[0]
        n_pairs = len(A) // (80 * 64)
        assert n_pairs == 1 or abs(alone - expected).max() > 1e-2


def test_only_so_many_images_are_used_and_none_leave_layers_random(
    small_space: StitchSpace, network: SharedNetwork, images: Split
) -> None:
    first = small_space.stitches[0].part
    before = solved(network, first)
    initialise_stitches(small_space, network, images, 0)
    np.testing.assert_array_equal(solved(network, first), before)
    initialise_stitches(small_space, network, images, 33)
    chosen = np.random.default_rng(0).permutation(80)[:33]
    few = Split(images.images[chosen], images.labels[chosen])
    A, B = problem(small_space, network, first, few)
    expected = np.linalg.lstsq(A, B)[0]
    np.testing.assert_allclose(solved(network, first), expected, rtol=1e-4, atol=1e-5)


def test_nearly_equal_channels_are_told_apart_where_float32_cannot(
    small_space: StitchSpace, network: SharedNetwork, images: Split
) -> None:
    """All channels are one, but for a hundred-thousandth that the target needs."""
    for i in range(3):
        block: Any = network.parts[str(Part("block", 0, i))]
        nn.init.zeros_(block.second[1].weight)
    embedding: Any = network.parts[str(Part("embedding", 0))]
    with torch.no_grad():
        w = embedding.conv[0].weight
        w[1:] = w[0] + 1e-5 * w[1:]
        embedding.conv[1].bias.fill_(3.0)
    initialise_stitches(small_space, network, images, 80)
    part = small_space.stitches[0].part
    A, B = problem(small_space, network, part, images)
    assert np.linalg.cond(A) > 1e6
    pinv = torch.linalg.pinv(torch.from_numpy(A).float()) @ torch.from_numpy(B).float()
    best, ours, theirs = (
        np.linalg.norm(A @ x - B)
        for x in (np.linalg.lstsq(A, B)[0], solved(network, part), pinv.double().numpy())
    )
    assert ours < 1.001 * best
    assert theirs > 1.05 * best


def test_dead_channels_do_no_harm(
    small_space: StitchSpace, network: SharedNetwork, images: Split
) -> None:
    embedding: Any = network.parts[str(Part("embedding", 0))]
    nn.init.zeros_(embedding.conv[1].weight)  # every channel is constant, and so like the bias
    for i in range(3):
        block: Any = network.parts[str(Part("block", 0, i))]
        nn.init.zeros_(block.second[1].weight)
    initialise_stitches(small_space, network, images, 80)
    for part in {s.part for s in small_space.stitches}:
        A, B = problem(small_space, network, part, images)
        np.testing.assert_allclose(
            A @ solved(network, part), np.tile(B.mean(axis=0), (len(B), 1)), rtol=1e-4, atol=1e-4
        )
