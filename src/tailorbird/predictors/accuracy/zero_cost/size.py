"""Baselines of zero-cost scores: MACs and parameters."""

import copy

from torch import Tensor, nn

from tailorbird.spaces.footprint import n_macs


def macs(module: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Multiply-adds for one image."""
    return float(n_macs(copy.deepcopy(module).to("meta").eval(), [(1, *images.shape[1:])]))


def parameters(module: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Number of parameters."""
    return float(sum(p.numel() for p in module.parameters()))
