"""Copies of modules, so that scoring a module leaves it as it is."""

import copy

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


def with_batch_statistics(module: nn.Module) -> nn.Module:
    """A copy that is evaluated, but whose batch norms go by the batch, as in a first step.

    What they remember says nothing yet; dropout stays off, so that nothing is drawn.
    """
    network = copy.deepcopy(module).eval()
    for norm in _batch_norms(network):
        norm.train()
    return network


def without_statistics(module: nn.Module) -> nn.Module:
    """A copy that is evaluated, whose batch norms only apply their weight and bias."""
    network = copy.deepcopy(module).eval()
    for norm in _batch_norms(network):
        norm.running_mean = torch.zeros(norm.num_features)
        norm.running_var = torch.ones(norm.num_features)
    return network


def _batch_norms(module: nn.Module) -> list[_BatchNorm]:
    return [m for m in module.modules() if isinstance(m, _BatchNorm)]
