"""Losses of training: cross-entropy to the labels, or to a teacher's answers as well."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tailorbird.registry.python_paths import check_named

DISTILLATIONS = ("soft", "hard", "none")
"""Names of what is learned from answers of others."""

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Loss of logits (n, classes), given labels, (n,) or of mixed images (n, classes), and images."""


def labels_only(logits: Tensor, labels: Tensor, images: Tensor) -> Tensor:
    """Cross-entropy to the labels."""
    return F.cross_entropy(logits, labels)


def smoothed(label_smoothing: float) -> Loss:
    """Cross-entropy to labels, a share of whose probability all classes have alike."""
    if not label_smoothing:
        return labels_only
    return lambda logits, labels, images: F.cross_entropy(
        logits, labels, label_smoothing=label_smoothing
    )


def soft(teacher: nn.Module, own: Loss = labels_only) -> Loss:
    """Soft distillation: half of the loss is the cross-entropy to the teacher's probabilities.

    References:
        Hinton, Vinyals, Dean: Distilling the Knowledge in a Neural Network. 2015.
    """
    return _half(teacher, lambda logits: logits.softmax(dim=1), own)


def hard(teacher: nn.Module, own: Loss = labels_only) -> Loss:
    """Hard distillation: half of the loss is the cross-entropy to the class the teacher names.

    References:
        Touvron et al.: Training data-efficient image transformers & distillation through
        attention. ICML 2021.
    """
    return _half(teacher, lambda logits: logits.argmax(dim=1), own)


def loss_of(name: str, teacher: nn.Module | None, label_smoothing: float = 0.0) -> Loss:
    """Loss by the name of its distillation; without a teacher, labels alone teach.

    Args:
        name: `soft`, `hard` or `none`.
        teacher: gives logits.
        label_smoothing: share of the labels' probability that all classes have alike.

    Raises:
        ContractError: if it is another name.
    """
    check_named(name, DISTILLATIONS, "distillation")
    own = smoothed(label_smoothing)
    if teacher is None or name == "none":
        return own
    return {"soft": soft, "hard": hard}[name](teacher.eval(), own)


def _half(teacher: nn.Module, targets_of: Callable[[Tensor], Tensor], own: Loss) -> Loss:
    """Mean of a loss to the labels, and the cross-entropy to targets of the teacher's logits."""

    def loss(logits: Tensor, labels: Tensor, images: Tensor) -> Tensor:
        with torch.no_grad():
            answers: Tensor = teacher(images)
        return (own(logits, labels, images) + F.cross_entropy(logits, targets_of(answers))) / 2

    return loss
