"""Losses that networks have now, before a step decides which of them it trains."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
import torch.nn.functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from tailorbird.spaces import FloatArray, IntArray, SharedSpace
from tailorbird.training.shared.network import SharedNetwork
from tailorbird.training.supernet.rules.rule import Step


def losses_now(space: SharedSpace, step: Step, X: IntArray) -> FloatArray:
    """Cross-entropies of networks on the images of a step, as they are in training, (n,).

    No gradients are had, so each costs about a third of a pass. The same step has the same losses
    again, whatever drops out or is counted in the networks.

    Args:
        space: of the networks.
        step: whose images and network they are.
        X: canonical rows (n, d).
    """
    losses = []
    with torch.random.fork_rng(devices=[]), torch.no_grad(), _buffers_kept(step.network):
        torch.manual_seed(int(step.rng.integers(2**31)))
        for row in X:
            route = space.route(row)
            losses.append(float(F.cross_entropy(step.network(step.images, route), step.labels)))
            step.network.drop_windows(route)
    return np.array(losses)


@contextmanager
def _buffers_kept(network: SharedNetwork) -> Iterator[None]:
    """Leaves a network with the buffers that it has, but for statistics that nothing reads."""
    owners = [m for m in network.modules() if m._buffers and not isinstance(m, _BatchNorm)]
    before = [
        {name: b if b is None else b.clone() for name, b in m._buffers.items()} for m in owners
    ]
    try:
        yield
    finally:
        for module, buffers in zip(owners, before, strict=True):
            module._buffers.update(buffers)
