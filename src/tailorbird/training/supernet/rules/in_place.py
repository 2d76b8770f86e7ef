"""In-place distillation: networks of a step learn from the answers of its first."""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

from tailorbird.training.supernet.rules.rule import Pass, RuleInputs


def in_place(inputs: RuleInputs) -> Callable[[Pass], Tensor]:
    """Loss of a network: to the labels for the first one, to its answers for all others.

    Without distillation all learn from the labels.

    References:
        Yu, Huang: Universally Slimmable Networks and Improved Training Techniques. ICCV 2019.
    """
    targets = _TARGETS.get(inputs.distillation)

    def loss(one: Pass) -> Tensor:
        if one.number == 0 or targets is None:
            return inputs.loss(one.logits, one.labels, one.images)
        return F.cross_entropy(one.logits, targets(one.first))

    return loss


_TARGETS: dict[str, Callable[[Tensor], Tensor]] = {
    "soft": lambda first: first.softmax(dim=1),
    "hard": lambda first: first.argmax(dim=1),
}
"""What is made of the first network's logits."""
