"""Spaces whose networks share weights, and what tests ask of any of them."""

from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np
import own_net
import own_shared
import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from tailorbird import spaces
from tailorbird.spaces import IntArray, Piece, SharedSpace
from tailorbird.spaces.chains import Chain
from tailorbird.spaces.stitching import StitchSpace
from tailorbird.training import SharedNetwork, Split, Trained
from tailorbird.training.shared.network import fresh

SHIPPED: dict[str, dict[str, object]] = {
    "digits-elastic": {},
    "cifar-elastic": {},
    "macro-mobilenetv2": {},
    "fbnet": {},
    "ofa-mobilenetv3": {"resolution": 96},
    "elastic-vit": {"resolution": 32, "n_classes": 10},
    "mobile-elastic": {"resolution": 32, "n_classes": 10},
    "regnet": {"resolution": 32, "n_classes": 10},
    "digits-resnet": {},
}
OWN = {
    "own-net": lambda: own_net.space(2),
    "tied": own_shared.tied,
    "recurrent": own_shared.recurrent,
    "fused": own_shared.fused,
    "frozen": own_shared.frozen,
    "recomputed": own_shared.recomputed,
    "normed": own_shared.normed,
    "unkept": own_shared.unkept,
    "stateful": own_shared.stateful,
    "grouped": own_shared.grouped,
}


def space_of(name: str) -> SharedSpace:
    """A shipped space or one of a user's own, for batches of two."""
    return OWN[name]() if name in OWN else _shipped(name)


@cache
def _shipped(name: str) -> SharedSpace:
    space = spaces.get(name, batch=2, **SHIPPED[name])
    assert isinstance(space, Chain | StitchSpace)
    return space


def rows_of(space: SharedSpace, n: int) -> IntArray:
    """At most n canonical rows, each once; the smallest and the largest network among them."""
    ends = space.landmarks[[0, -1]]
    drawn = space.sample(4 * n, np.random.default_rng(1))
    return np.array([*dict.fromkeys(map(tuple, np.concatenate([ends, drawn]).tolist()))][:n])


def images_of(space: SharedSpace, n: int, seed: int = 0) -> Split:
    """Random images of the shape that a space takes."""
    rng = np.random.default_rng(seed)
    images = rng.standard_normal((n, *space.input_shape[1:]), dtype=np.float32)
    return Split(images, rng.integers(10, size=n))


def varied(space: SharedSpace) -> SharedNetwork:
    """Fresh weights, but for norms, whose weights and biases all differ."""
    network = fresh(space, 0)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim == 1:
                parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.3)
    return network


def trained(space: SharedSpace, n_images: int = 12) -> Trained:
    return Trained(space, varied(space), images_of(space, n_images, seed=1))


def windows_of(
    network: SharedNetwork, route: Sequence[Piece]
) -> Iterator[tuple[nn.Parameter, tuple[slice | Tensor, ...], str]]:
    """Shared tensor, window and name of every parameter that a network of a route has.

    The window is found here by the rule: leading indices, the centre of kernels, and where one
    layer makes queries, keys and values, the first ones of each.
    """
    for i, piece in enumerate(route):
        module = piece.workload.build()
        for name, parameter in module.named_parameters():
            whole = network.get_parameter(f"parts.{piece.weights}.{name}")
            owner = module.get_submodule(name.rpartition(".")[0])
            kernel_from = 2 if isinstance(owner, _ConvNd) else parameter.ndim
            window: list[slice | Tensor] = [slice(0, n) for n in parameter.shape]
            if ".qkv." in f".{name}":
                rows = torch.arange(len(whole)).reshape(3, -1)
                window[0] = rows[:, : len(parameter) // 3].flatten()
            for axis in range(kernel_from, parameter.ndim):
                n, n_whole = parameter.shape[axis], whole.shape[axis]
                window[axis] = slice((n_whole - n) // 2, (n_whole - n) // 2 + n)
            yield whole, tuple(window), f"{i}.{name}"


def assert_same(one: Tensor, other: Tensor) -> None:
    """Bit for bit, NaN included."""
    torch.testing.assert_close(one, other, rtol=0, atol=0, equal_nan=True)
