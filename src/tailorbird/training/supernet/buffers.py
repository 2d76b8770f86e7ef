"""Buffers of smaller networks, which follow those of the largest when a file changes these."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from tailorbird.errors import ContractError
from tailorbird.spaces import Piece, SharedSpace
from tailorbird.spaces.footprint import built_on_meta
from tailorbird.spaces.own_windows import own_window
from tailorbird.training.shared.network import SharedNetwork

Buffers = Mapping[str, Mapping[str, Tensor]]
"""Values of persistent buffers by the names of their piece's weights and their own."""


def buffers_of(network: SharedNetwork, route: Sequence[Piece]) -> Buffers:
    """Copies of the buffers of a route that files of weights have."""
    return {
        piece.weights: {n: b.clone() for n, b in network.persistent_buffers_of(piece).items()}
        for piece in route
    }


def hand_down(
    space: SharedSpace, network: SharedNetwork, route: Sequence[Piece], drawn: Buffers
) -> tuple[str, ...]:
    """Gives smaller networks their parts of the largest's buffers that are no longer as drawn.

    Buffers may be of anything. One is taken for part of a larger one if it began as that: as its
    first indices, or those that its module says of it as of a weight.

    Args:
        space: of the networks.
        network: changed in place.
        route: of the largest network.
        drawn: its buffers as they were first.

    Returns:
        Names of buffers that are no such parts, and stay as they are.
    """
    left = dict[str, None]()
    largest = {piece.weights: piece for piece in route}
    now = buffers_of(network, route)
    for piece in space.pieces:
        before, after = drawn.get(piece.weights, {}), now.get(piece.weights, {})
        changed = {n for n, values in after.items() if not torch.equal(values, before[n])}
        if not changed or piece.form == largest[piece.weights].form:
            continue
        for name, own in network.persistent_buffers_of(piece).items():
            if name in changed:
                window = _window(piece, name, own, after[name])
                if window is not None and torch.equal(before[name][window], own):
                    own.copy_(after[name][window])
                else:
                    left[f"{name} of {piece.weights}"] = None
    return tuple(left)


def _window(piece: Piece, name: str, own: Tensor, whole: Tensor) -> tuple[Tensor, ...] | None:
    """Indices of a larger buffer that a smaller one may be; None if there are none."""
    if own.ndim != whole.ndim or any(
        n > n_all for n, n_all in zip(own.shape, whole.shape, strict=True)
    ):
        return None
    try:
        said = own_window(built_on_meta(piece.workload.build), name, own.shape, whole.shape)
    except ContractError:  # it speaks of weights alone
        return None
    axes = said or tuple(np.arange(n) for n in own.shape)
    return tuple(torch.from_numpy(indices) for indices in np.ix_(*axes))
