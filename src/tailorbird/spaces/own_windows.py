"""Windows that modules say themselves: which part of a larger shared tensor a weight is."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tailorbird.errors import ContractError, plain, shown
from tailorbird.spaces.module import said_of

if TYPE_CHECKING:
    from torch import nn

Indices = tuple[NDArray[np.int64], ...]
"""Indices of a tensor along each of its axes, each once."""


class HasWindows(Protocol):
    """Torch module with weights that are other parts of larger ones than their first indices."""

    def windows(self, name: str, shape: tuple[int, ...]) -> Sequence[Sequence[int]] | None:
        """Indices of a shared tensor that one of its weights has, or None for the first ones.

        Args:
            name: of the weight, dotted, such as `qkv.weight`.
            shape: of the shared tensor, which is at least as large along each axis.

        Returns:
            As many different indices for each axis as the weight has there, in its order.
        """


def own_window(
    module: "nn.Module", name: str, shape: Sequence[int], whole: Sequence[int]
) -> Indices | None:
    """Window that a module says of a weight; None if no part of it says any.

    Of the parts that the weight is in, the innermost is asked first.

    Args:
        module: that has the weight.
        name: of the weight, dotted.
        shape: of the weight.
        whole: shape of the shared tensor.

    Raises:
        ContractError: if it is no such window.
    """
    path = name.split(".")
    for end in range(len(path) - 1, -1, -1):
        part = module.get_submodule(".".join(path[:end]))
        # A method of the class: a child of that name is none.
        says = getattr(type(part), "windows", None)
        if callable(says):
            inner = ".".join(path[end:])
            what = f"{type(part).__name__}.windows({inner!r}, {tuple(whole)})"
            with said_of(f"Windows must be had of every weight, but {what} failed"):
                answer = says(part, inner, tuple(whole))
            if answer is not None:
                return _checked(answer, tuple(shape), tuple(whole), what)
    return None


def said_windows(modules: Sequence["nn.Module"]) -> list[str]:
    """Text of each window that modules say which share their weights; none if they say none."""
    largest: dict[str, tuple[int, ...]] = {}
    for name, weight in (named for module in modules for named in module.named_parameters()):
        known = largest.get(name, tuple(weight.shape))
        largest[name] = tuple(map(max, known, weight.shape))
    return [
        text
        for module in modules
        for name, weight in module.named_parameters()
        for text in _said(module, name, weight.shape, largest[name])
    ]


def _said(
    module: "nn.Module", name: str, shape: Sequence[int], whole: Sequence[int]
) -> Iterator[str]:
    if len(shape) != len(whole):
        return  # such weights cannot be shared
    try:
        window = own_window(module, name, shape, whole)
    except ContractError:
        return  # which is told where weights are made
    if window is not None:
        yield f"{name} {tuple(shape)} {[axis.tolist() for axis in window]}"


def _checked(answer: Any, shape: tuple[int, ...], whole: tuple[int, ...], what: str) -> Indices:
    """What a module says as arrays, if it is a window."""
    fault = "" if isinstance(answer, Sequence) and len(answer) == len(shape) else shown(answer)
    axes = list[NDArray[np.int64]]()
    for axis, given in enumerate([] if fault else answer):
        indices = _integers(given)
        told = shown(given) if indices is None else _fault_of(indices, shape[axis], whole[axis])
        fault = fault or (told and f"{told} for axis {axis}")
        axes += [] if indices is None else [indices]
    if fault:
        raise ContractError(
            "Windows must be a sequence of indices for each axis of the shared tensor, within it, "
            f"each once and as many as the weight has there, but {what} gave {plain(fault)} for a "
            f"weight of shape {shape}. Give None where the first indices are meant."
        )
    return tuple(axes)


def _fault_of(indices: NDArray[np.int64], n: int, n_whole: int) -> str:
    """What keeps indices of an axis from being n different ones of the whole; empty if nothing."""
    if len(indices) != n:
        return f"{len(indices)} indices"
    if ((indices < 0) | (indices >= n_whole)).any():
        return f"indices from {indices.min()} to {indices.max()}"
    return "an index twice" if len({*indices.tolist()}) < n else ""


def _integers(given: object) -> NDArray[np.int64] | None:
    """Indices of one axis as an array, None if they are none."""
    if not isinstance(given, Sequence | np.ndarray) or isinstance(given, str):
        return None
    try:
        array = np.asarray(given)
    except ValueError:  # of ragged lists
        return None
    is_right = array.ndim == 1 and len(array) and np.issubdtype(array.dtype, np.integer)
    return array.astype(np.int64) if is_right else None
