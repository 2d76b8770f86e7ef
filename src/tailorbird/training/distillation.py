"""Losses of training: cross-entropy to the labels, or to a teacher's answers as well."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tailorbird.registry.python_paths import check_named

DISTILLATIONS = ("soft", "hard", "none")
"""Names of what is learned from answers of others."""

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Loss of logits (n, classes), given labels (n,) and images (n, …)."""


def labels_only(logits: Tensor, labels: Tensor, images: Tensor) -> Tensor:
    """Cross-entropy to the labels."""
    return F.cross_entropy(logits, labels)


def soft(teacher: nn.Module) -> Loss:
    """Soft distillation: half of the loss is the cross-entropy to the teacher's probabilities.

    References:
        Hinton, Vinyals, Dean: Distilling the Knowledge in a Neural Network. 2015.
    """
    return _half(teacher, lambda logits: logits.softmax(dim=1))


def hard(teacher: nn.Module) -> Loss:
    """Hard distillation: half of the loss is the cross-entropy to the class the teacher names.

    References:
        Touvron et al.: Training data-efficient image transformers & distillation through
        attention. ICML 2021.
    """
    return _half(teacher, lambda logits: logits.argmax(dim=1))


def loss_of(name: str, teacher: nn.Module | None) -> Loss:
    """Loss by the name of its distillation; without a teacher, labels alone teach.

    Args:
        name: `soft`, `hard` or `none`.
        teacher: gives logits.

    Raises:
        ContractError: if it is another name.
    """
    check_named(name, DISTILLATIONS, "distillation")
    if teacher is None or name == "none":
        return labels_only
    return {"soft": soft, "hard": hard}[name](teacher.eval())


def _half(teacher: nn.Module, targets_of: Callable[[Tensor], Tensor]) -> Loss:
    """Mean of the cross-entropies to the labels, and to targets made of the teacher's logits."""

    def loss(logits: Tensor, labels: Tensor, images: Tensor) -> Tensor:
        with torch.no_grad():
            answers: Tensor = teacher(images)
        return (F.cross_entropy(logits, labels) + F.cross_entropy(logits, targets_of(answers))) / 2

    return loss
