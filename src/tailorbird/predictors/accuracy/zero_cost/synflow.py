"""How much flows through a network whose weights are all positive."""

import torch
from torch import Tensor, nn

from tailorbird.predictors.accuracy.zero_cost.batch_norms import without_statistics


def synflow(module: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Log of the sum over parameters of |parameter * gradient| with absolute parameters.

    The gradient is that of the sum of the outputs for one image of ones; of the images only their
    shape matters, and labels do not. Batch norms only apply their weight and bias. It is
    the log, in double precision, because the sum grows exponentially with depth.

    Args:
        module: is not changed.
        images: shape (n, c, h, w).
        labels: class of each image, (n,).

    Returns:
        The score, -inf if nothing flows.

    References:
        Tanaka, Kunin, Yamins, Ganguli: Pruning Neural Networks without Any Data by Iteratively
        Conserving Synaptic Flow. NeurIPS 2020.
        Abdelfattah, Mehrotra, Dudziak, Lane: Zero-Cost Proxies for Lightweight NAS. ICLR 2021.
    """
    network = without_statistics(module).double()
    weights = list(network.parameters())
    with torch.no_grad():
        for weight in weights:
            weight.requires_grad_().abs_()
    with torch.enable_grad():
        flow = network(torch.ones_like(images[:1], dtype=torch.float64)).sum()
        gradients = torch.autograd.grad(flow, weights, allow_unused=True, materialize_grads=True)
    with torch.no_grad():
        total = sum((w * g).abs().sum() for w, g in zip(weights, gradients, strict=True))
    return float(torch.as_tensor(total).log())
