"""Batch norms over the images of all ranks, on any device."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from inspect import signature
from typing import Any, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.overrides import TorchFunctionMode

from tailorbird.training.ranks import Ranks

_ARGUMENTS = signature(F.batch_norm)


@runtime_checkable
class HasInnerModules(Protocol):
    """A network that runs modules which are not registered in it."""

    def inner_modules(self) -> Iterator[nn.Module]:
        """Yields them."""


@dataclass(slots=True)
class Norms:
    """State of the batch norms of a network: those of all ranks, or not.

    Attributes:
        ranks: whose images they see.
        is_on: false in steps that all ranks take alike.
    """

    ranks: Ranks
    is_on: bool = True


@contextmanager
def global_batch_norms(network: nn.Module, ranks: Ranks) -> Iterator[Norms]:
    """Lets the batch norms of a network see the images of all ranks, inside and in training.

    torch has `SyncBatchNorm` for GPUs alone. Here modules of any class do as they are, but that
    what they call, `torch.nn.functional.batch_norm`, has the statistics of all ranks.

    References:
        Ioffe, Szegedy: Batch Normalization. ICML 2015.
        Zhang et al.: Context Encoding for Semantic Segmentation. CVPR 2018, over several devices.
    """
    norms = Norms(ranks)
    modules = [*network.modules()]
    if isinstance(network, HasInnerModules):
        modules += network.inner_modules()
    if not ranks.has_global_norms:
        modules = []
    own = {m: vars(m).get("forward") for m in modules if isinstance(m, _BatchNorm)}
    for module in own:
        module.forward = _over_ranks(module.forward, norms)  # type: ignore[method-assign]
    try:
        yield norms
    finally:
        for module, before in own.items():
            del module.forward  # that of its class comes back
            if before is not None:
                module.forward = before  # type: ignore[method-assign]


def _over_ranks(forward: Callable[..., Tensor], norms: Norms) -> Callable[..., Tensor]:
    def forward_over_ranks(*args: Any) -> Tensor:
        if not norms.is_on:
            return forward(*args)
        with _Intercepted(norms.ranks):
            return forward(*args)

    return forward_over_ranks


class _Intercepted(TorchFunctionMode):
    """Calls of `batch_norm` in training have statistics of all ranks."""

    def __init__(self, ranks: Ranks) -> None:
        super().__init__()
        self._ranks = ranks

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is F.batch_norm:
            bound = _ARGUMENTS.bind(*args, **(kwargs or {}))
            bound.apply_defaults()
            if bound.arguments["training"]:
                return _batch_norm(self._ranks, *bound.args)
        return func(*args, **(kwargs or {}))


def _batch_norm(
    ranks: Ranks,
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
) -> Tensor:
    """What `torch.nn.functional.batch_norm` gives for the images of all ranks together."""
    axes = [axis for axis in range(x.ndim) if axis != 1]
    wide = x.double() if x.dtype == torch.float64 else x.float()
    variances, means = torch.var_mean(wide.detach(), axes, correction=0)
    n = means.new_tensor([x.numel() / x.shape[1]])
    everyone = ranks.gathered(torch.cat([means, variances, n]))
    means, variances = everyone[:, : len(means)], everyone[:, len(means) : -1]
    shares = everyone[:, -1:] / (n_all := everyone[:, -1].sum())
    mean = (shares * means).sum(0)
    variance = (shares * (variances + (means - mean).square())).sum(0)
    if running_mean is not None and running_var is not None:
        running_mean.lerp_(mean.to(running_mean.dtype), momentum)
        unbiased = variance * (n_all / (n_all - 1).clamp(min=1))
        running_var.lerp_(unbiased.to(running_var.dtype), momentum)
    normalised: Tensor = _Normalised.apply(wide, mean, variance, eps, n_all, ranks)
    shape = [1, -1, *[1] * (x.ndim - 2)]
    if weight is not None:
        normalised = normalised * weight.view(shape)
    if bias is not None:
        normalised = normalised + bias.view(shape)
    return normalised.to(x.dtype)


class _Normalised(torch.autograd.Function):
    """Images less the mean, by the deviation, where both depend on the images of all ranks."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, mean: Tensor, variance: Tensor, eps: float, n: Tensor, ranks: Ranks
    ) -> Tensor:
        shape = [1, -1, *[1] * (x.ndim - 2)]
        by_deviation = (variance + eps).rsqrt().view(shape)
        y = (x - mean.view(shape)) * by_deviation
        ctx.save_for_backward(y, by_deviation, n)
        ctx.ranks = ranks
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        y, by_deviation, n = ctx.saved_tensors
        axes = [axis for axis in range(y.ndim) if axis != 1]
        sums = torch.cat([gradient.sum(axes), (gradient * y).sum(axes)])
        total, along = (ctx.ranks.summed(sums) / n).chunk(2)
        shape = by_deviation.shape
        of_x = by_deviation * (gradient - total.view(shape) - y * along.view(shape))
        return of_x, None, None, None, None, None
