"""Sums of the gradients of several ranks, in one message."""

from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch import Tensor

from tailorbird.errors import RanksError
from tailorbird.training.ranks import Ranks
from tailorbird.training.shares import Share

_MARKS = 2**31


@torch.no_grad()
def add_up(weights: Sequence[Tensor], value: Tensor, share: Share, ranks: Ranks) -> Tensor:
    """Gives all ranks the sum of their gradients.

    Weights that no rank used keep none, so that an optimizer leaves them alone: with zeros they
    would decay. One message after all passes of a step takes less time here than
    `DistributedDataParallel`, which looks for unused weights and sends zeros for them
    (`benchmarks/ranks.py`).

    Args:
        weights: of which some have gradients, of losses that are weighted by the share.
        value: of this rank, a number.
        share: of the images of the step.
        ranks: that are added up.

    Returns:
        Sum of the values of all ranks.

    Raises:
        RanksError: if another rank ended.
    """
    if ranks.n == 1:
        return value
    if ranks.routes == "own":
        _average(weights, share, ranks)
    used = [weight for weight in weights if weight.grad is not None]
    return _added_up(used, value, ranks)


def check_same(weights: Sequence[Tensor], ranks: Ranks) -> None:
    """Refuses ranks that have gradients of other weights, whose messages would not fit.

    Args:
        weights: of which some have gradients.
        ranks: that are to have them of the same ones.

    Raises:
        RanksError: if they have not.
    """
    if ranks.n == 1 or ranks.routes == "own":
        return
    used = tuple(i for i, weight in enumerate(weights) if weight.grad is not None)
    mark = torch.tensor([hash(used) % _MARKS])
    if (ranks.gathered(mark) != mark).any():
        raise RanksError(
            "All ranks must run the same networks in a step, but gradients came for other weights. "
            "Does a rule or a loss of your own draw without the seed? With [accuracy] "
            'rank_routes = "own" each rank draws its own.'
        )


def _added_up(weights: Sequence[Tensor], value: Tensor, ranks: Ranks) -> Tensor:
    """Adds up gradients, with a number in the same message; returns the sum of this."""
    pieces = [weight.grad.reshape(-1) for weight in weights if weight.grad is not None]
    flat = torch.cat([*pieces, value.reshape(1)])
    ranks.together(lambda: dist.all_reduce(flat))
    *sums, total = torch.split(flat, [*map(len, pieces), 1])
    for weight, summed in zip(weights, sums, strict=True):
        gradient = summed.view(weight.shape).to(weight.dtype)
        if weight.is_contiguous():
            weight.grad = gradient
        elif weight.grad is not None:  # optimizers want the layout of the weight
            weight.grad.copy_(gradient)
    return total[0]


def _average(weights: Sequence[Tensor], share: Share, ranks: Ranks) -> None:
    """Weights each gradient by the images of the ranks that used the weight; others have zeros."""
    own = sum(share.weights)
    users = torch.tensor([own if w.grad is not None else 0.0 for w in weights])
    ranks.together(lambda: dist.all_reduce(users))
    for weight, used_by in zip(weights, users.tolist(), strict=True):
        if weight.grad is not None:
            weight.grad /= used_by
        elif used_by:
            weight.grad = torch.zeros_like(weight)
