"""What a network's answers are compared with."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Of logits (n, classes) for labels (n,) and images (n, …)."""


def labels_only(logits: Tensor, labels: Tensor, images: Tensor) -> Tensor:
    """Cross-entropy to the labels."""
    return F.cross_entropy(logits, labels)


def soft(teacher: nn.Module) -> Loss:
    """Half of the loss is the cross-entropy to the teacher's probabilities.

    References:
        Hinton, Vinyals, Dean: Distilling the Knowledge in a Neural Network. 2015.
    """

    def loss(logits: Tensor, labels: Tensor, images: Tensor) -> Tensor:
        answers = _answers(teacher, images).softmax(dim=1)
        return (F.cross_entropy(logits, labels) + F.cross_entropy(logits, answers)) / 2

    return loss


def hard(teacher: nn.Module) -> Loss:
    """Half of the loss is the cross-entropy to the class that the teacher names.

    References:
        Touvron et al.: Training data-efficient image transformers & distillation through
        attention. ICML 2021.
    """

    def loss(logits: Tensor, labels: Tensor, images: Tensor) -> Tensor:
        answers = _answers(teacher, images).argmax(dim=1)
        return (F.cross_entropy(logits, labels) + F.cross_entropy(logits, answers)) / 2

    return loss


def _answers(teacher: nn.Module, images: Tensor) -> Tensor:
    with torch.no_grad():
        logits: Tensor = teacher(images)
    return logits
