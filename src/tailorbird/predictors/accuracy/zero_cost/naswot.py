"""How well a network tells images apart by which of its activations are on."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from tailorbird.predictors.accuracy.zero_cost.batch_norms import with_batch_statistics
from tailorbird.spaces import FloatArray

_OPERATORS = (
    *("relu", "relu_", "relu6", "hardtanh", "hardtanh_", "leaky_relu", "leaky_relu_"),
    *("hardswish", "hardswish_", "gelu", "gelu_", "silu", "silu_", "mish", "mish_"),
    *("elu", "elu_", "selu", "selu_", "celu", "celu_", "prelu", "_prelu_kernel"),
)
_ACTIVATIONS = {getattr(torch.ops.aten, name) for name in _OPERATORS}


def naswot(module: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Log |det K|, where K[i, j] counts the activations that are alike for images i and j.

    An activation is on if its input is positive. Those of ReLU and what bends likewise count
    (ReLU6, Hardswish, GELU, SiLU, ...), whether a module or a function applies them; gates such as
    the sigmoids of squeeze-and-excitation do not. Labels do not matter. It also grows with the
    number of activations.

    Args:
        module: is not changed.
        images: shape (n, c, h, w), all different.
        labels: class of each image, (n,).

    Returns:
        The score, -inf if K is singular, as when two images turn on the very same activations.

    Raises:
        ValueError: if there is no activation, or one whose first dimension is not the images.

    References:
        Mellor, Turner, Storkey, Crowley: Neural Architecture Search without Training. ICML 2021.
    """
    network = with_batch_statistics(module)
    with torch.no_grad(), _Codes(len(images)) as codes:
        network(images)
    if not codes.is_any:
        raise ValueError(
            "A module must have a ReLU or the like to be scored by naswot, but this one has none. "
            "Leave this score out."
        )
    if np.linalg.matrix_rank(codes.kernel, hermitian=True) < len(images):
        return float("-inf")  # rounding would hide it
    return float(np.linalg.slogdet(codes.kernel).logabsdet)


class _Codes(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves it so
    """Sees activations in every operator that runs, as functions have no hooks.

    Attributes:
        kernel: how many activations are alike, (n, n).
        is_any: whether there was any.
    """

    def __init__(self, n: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch leaves it so
        self.kernel: FloatArray = np.zeros((n, n))
        self.is_any = False

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Runs the operator; before, as it may work in place, looks at its input."""
        if func.overloadpacket in _ACTIVATIONS:
            self._add(args[0])
        run: Callable[..., Any] = func
        return run(*args, **(kwargs or {}))

    def _add(self, x: Tensor) -> None:
        n = len(self.kernel)
        if not x.ndim or len(x) != n:
            raise ValueError(
                f"The first dimension of activations must be the {n} images to be scored by "
                f"naswot, but there is one of shape {tuple(x.shape)}. Leave this score out."
            )
        # Of a signs of 1 and -1, i and j have (a + s_i s_j) / 2 alike. Float32 counts exactly up
        # to 2**24, in one operator for one image.
        signs = (x > 0).reshape(n, -1).float().mul_(2).sub_(1)
        self.kernel += (signs.shape[1] + (signs @ signs.T).cpu().double().numpy()) / 2
        self.is_any = True
