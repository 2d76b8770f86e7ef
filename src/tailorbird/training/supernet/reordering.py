"""Other orders of a network's units, in which the largest network computes what it did."""

import copy
from collections.abc import Mapping, Sequence
from contextlib import suppress

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from tailorbird.errors import ContractError
from tailorbird.spaces import IntArray, Piece
from tailorbird.training.data.images import LabelledImages, inputs
from tailorbird.training.shared.network import SharedNetwork
from tailorbird.training.supernet.units import Units

_IMAGES = 16
_SAME = 1e-4  # of the largest answer; rounding takes 1e-11 of it in float64, 1e-5 in float32


def reorder(
    network: SharedNetwork,
    route: Sequence[Piece],
    orders: Sequence[tuple[Units, IntArray]],
    train: LabelledImages,
    name: str,
) -> None:
    """Puts units of the largest network into other orders, all of them or none.

    That modules with random weights compute the same in any order was tried when units were found.
    Here it is tried with the weights and buffers that the network has, on training images.

    Args:
        network: changed in place.
        route: of the largest network.
        orders: units, and the order (n,) of each.
        train: training images.
        name: of the space, for errors.

    Raises:
        ContractError: if it computes something else.
    """
    if not orders:
        return
    pieces = {piece.weights: piece for piece in route}
    x = inputs(train, np.arange(min(_IMAGES, len(train.labels))))
    before = _answers(network, route, x)
    for units, order in orders:
        _put(network, pieces, units, order)
    change = float((_answers(network, route, x) - before).abs().max())
    most = float(before.abs().max())
    if change <= _SAME * most:
        return
    for units, order in reversed(orders):
        _put(network, pieces, units, np.argsort(order))
    raise ContractError(
        "What the largest network computes must stay the same when its channels, heads and units "
        f"are sorted, but answers of that of {name} would change by {change:.3g}, of at most "
        f"{most:.3g}, on {len(x)} training images. Values in buffers, such as frozen statistics of "
        'norms, are not sorted with them. Take importance = "none".'
    )


def _answers(network: SharedNetwork, route: Sequence[Piece], x: Tensor) -> Tensor:
    """Answers by the batch's own statistics, from a copy, which alone keeps those."""
    module = nn.Sequential(*(network.module_of(piece) for piece in route))
    with suppress(RuntimeError):  # of modules that make float32 of what they are given
        return _run(copy.deepcopy(module).double(), x.double())
    return _run(copy.deepcopy(module), x)


def _run(module: nn.Module, x: Tensor) -> Tensor:
    for part in module.eval().modules():
        if isinstance(part, _BatchNorm):
            part.train()
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        answers: Tensor = module(x)
        return answers


def _put(
    network: SharedNetwork, pieces: Mapping[str, Piece], units: Units, order: IntArray
) -> None:
    for axis in units.parts:
        shared, window = network.windows_of(pieces[axis.weights])[axis.tensor]
        own = shared.data[window].index_select(axis.axis, units.indices(order, axis))
        shared.data[window] = own
