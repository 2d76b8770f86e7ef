"""Scores from gradients of the loss, at the weights that a network starts from."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tailorbird.predictors.accuracy.zero_cost.batch_norms import with_batch_statistics


def gradsign(module: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Sum over parameters of |sum over images of the sign of that image's gradient|.

    The more the images agree where to go, the closer their own optima, and the lower the bound on
    the loss. It lies between 0 and images times parameters, so it also grows with the network.

    As in the authors' code, an image is a batch of its own for batch norms; other than there,
    norms and biases count, as all parameters do in the paper. The order of the images is of no
    effect.

    Args:
        module: is not changed.
        images: shape (n, c, h, w).
        labels: class of each image, (n,).

    Returns:
        The score, NaN if a gradient is not finite.

    References:
        Zhang, Jia: GradSign: Model Performance Inference with Theoretical Insights. ICLR 2022.
    """
    network = with_batch_statistics(module)
    sums = [torch.zeros_like(p) for p in _learned(network)]
    for i in range(len(images)):
        gradients = _gradients(network, images[i : i + 1], labels[i : i + 1])
        for total, gradient in zip(sums, gradients, strict=True):
            if not torch.isfinite(gradient).all():
                return float("nan")  # torch says that the sign of NaN is 0
            total.add_(gradient.sign())
    return sum(float(total.abs().sum(dtype=torch.float64)) for total in sums)


def gradient_norm(module: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Sum over parameter tensors of the Euclidean norm of the batch's gradient.

    Args:
        module: is not changed.
        images: shape (n, c, h, w).
        labels: class of each image, (n,).

    References:
        Abdelfattah, Mehrotra, Dudziak, Lane: Zero-Cost Proxies for Lightweight NAS. ICLR 2021.
    """
    gradients = _gradients(with_batch_statistics(module), images, labels)
    return sum(float(g.double().norm()) for g in gradients)


def _gradients(network: nn.Module, images: Tensor, labels: Tensor) -> list[Tensor]:
    """Gradients of the mean cross entropy, one per parameter that learns."""
    learned = _learned(network)
    with torch.enable_grad():
        logits = network(images)
        if logits.ndim != 2 or labels.min() < 0 or labels.max() >= logits.shape[1]:
            raise ValueError(
                "Logits must have shape (n, classes) with `0 <= label < classes`, but their shape "
                f"is {tuple(logits.shape)} and labels go from {labels.min()} to {labels.max()}."
            )
        loss = F.cross_entropy(logits, labels)
        found = torch.autograd.grad(loss, learned, allow_unused=True, materialize_grads=True)
    return list(found)


def _learned(network: nn.Module) -> list[nn.Parameter]:
    found = [p for p in network.parameters() if p.requires_grad]
    if not found:
        raise ValueError(
            "A module must have parameters that learn to be scored by their gradients, but this "
            "one has none. Leave this score out."
        )
    return found
