"""Values of weights that others made: what cannot be one is refused, the rest is converted."""

from pathlib import Path

import torch
from torch import Tensor

from tailorbird.errors import WeightsError

_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)


def check_kind(path: Path, name: str, tensor: Tensor, own: Tensor) -> None:
    """Refuses a tensor that is no plain array of numbers of its own kind; reads no values.

    Args:
        path: of the file, for errors.
        name: in the file, for errors.
        tensor: from the file.
        own: of the network, in its place.

    Raises:
        WeightsError: if so.
    """
    what, way_out = _kind(tensor)
    if not what:
        wanted = _FLOATS if own.is_floating_point() else (*_INTEGERS, *_FLOATS)
        if tensor.dtype == own.dtype or tensor.dtype in wanted:
            return
        what, way_out = f"of {str(tensor.dtype).removeprefix('torch.')}", "Save it in float32."
        if tensor.is_complex():
            what, way_out = "complex", "Name weights of a network of real numbers."
    raise WeightsError(
        f"Weights must be plain arrays of floats, but {name!r} in {str(path)!r} is {what}. "
        f"{way_out}"
    )


def _kind(tensor: Tensor) -> tuple[str, str]:
    """What else than a plain array a tensor is, and the way out; empty if it is one."""
    if tensor.is_nested:
        return "a nested tensor", "Save it padded."
    if tensor.is_quantized:
        return "quantised", "Save its `dequantize()`."
    if tensor.layout != torch.strided:
        return "sparse", "Save its `to_dense()`."
    if tensor.is_meta:
        return "without values, on torch's device `meta`", "Save the module once it has weights."
    return "", ""


def converted(path: Path, name: str, tensor: Tensor, own: Tensor) -> Tensor:
    """Values of a tensor, whose shape fits, in the network's own type.

    Raises:
        WeightsError: if one is not finite, or a variance negative.
    """
    values = tensor.detach().to(own.dtype) if own.is_floating_point() else tensor.detach()
    n_wrong = 0
    if not values.sum().isfinite():  # faster than one by one; a sum may also be too large
        n_wrong = int((~values.isfinite()).sum())
    if n_wrong:
        raise WeightsError(
            f"Weights must be finite, but {n_wrong:,} of the {values.numel():,} values of "
            f"{name!r} in {str(path)!r} are not, in {str(own.dtype).removeprefix('torch.')}. "
            "Name a file from before training went astray."
        )
    if name.endswith("running_var") and bool((values < 0).any()):
        raise WeightsError(
            f"Variances must not be negative, but {name!r} in {str(path)!r} goes down to "
            f"{float(values.min()):g}. Name another file."
        )
    return values.to(own.dtype)
