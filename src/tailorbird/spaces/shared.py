"""Spaces whose networks share weights: stitched networks, and subnetworks of supernets."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from tailorbird.errors import require
from tailorbird.spaces.footprint import built_on_meta, count_macs
from tailorbird.spaces.own_windows import said_windows
from tailorbird.spaces.space import IntArray, SearchSpace
from tailorbird.spaces.workload import Workload

if TYPE_CHECKING:
    from torch import nn

KINDS = ("embedding", "block", "stitch", "head")
"""Kinds of pieces."""

_IMAGES = 2  # that stand for any number of them


@dataclass(frozen=True, slots=True)
class Piece:
    """A module of a network, and the name of the weights that it shares with others.

    Pieces with weights of one name may have different workloads. Each tensor is then as large as
    the largest of any of them along each axis, and a piece has a window of it.

    Attributes:
        kind: one of `KINDS`; pieces with weights of one name are of one kind.
        weights: name of its weights, without dots.
        workload: that it runs.
    """

    kind: str
    weights: str
    workload: Workload

    def __str__(self) -> str:
        return self.weights

    @property
    def form(self) -> tuple[object, ...]:
        """What its weights follow from: all but the batch size, with which they have no part."""
        work = self.workload
        return self.weights, work.op, work.params, tuple(shape[1:] for shape in work.inputs)


@runtime_checkable
class HasPieces(Protocol):
    """Networks as sequences of pieces."""

    @property
    def pieces(self) -> Sequence[Piece]:
        """Every piece that a network of this space can have, each once."""

    def route(self, row: IntArray) -> tuple[Piece, ...]:
        """The pieces of one canonical row, in the order in which they run.

        Raises:
            ValueError: if it is not a canonical row of this space.
        """


class SharedSpace(SearchSpace, HasPieces, Protocol):
    """Search space whose networks share weights, and so can be trained together."""


def fingerprint(pieces: Sequence[Piece]) -> str:
    """Digits that change with all that a space says of weights, whatever the batch size.

    Modules that their author may change under the same name are made and run for that, on torch's
    meta device: how weights are drawn, and what drops out in training, changes no latency, but
    what is trained. So do the weights of modules that were given, and windows that modules say.
    Imports torch.
    """
    texts, of_name = [], dict[str, list[Workload]]()
    for piece in pieces:
        work = piece.workload
        digest = _structure(work) if work.digest else ""
        given = "" if work.module is None else _values(work.module)
        texts.append(f"{piece.kind} {piece.form} {digest}{given}")
        of_name.setdefault(piece.weights, []).append(work)
    for workloads in of_name.values():
        if any(work.digest for work in workloads):
            modules = [built_on_meta(work.build) for work in workloads]
            texts += said_windows(modules)
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:12]


@lru_cache(maxsize=4096)
def _structure(workload: Workload) -> str:
    """How a workload's module is made, and the digest of its operators, whatever its batch size."""
    require("torch")
    import torch

    from tailorbird.spaces.structure import description, digested

    examples = [torch.empty((_IMAGES, *shape[1:]), device="meta") for shape in workload.inputs]
    with torch.device("meta"), torch.no_grad():
        module, made = digested(lambda: built_on_meta(workload.build))
        return f"{made} {digested(lambda: module(*examples))[1]} {description(module)}"


def _values(module: "nn.Module") -> str:
    """Digest of the weights and buffers of a module."""
    digest = hashlib.sha256()
    for name, tensor in module.state_dict().items():
        digest.update(name.encode() + tensor.numpy().tobytes())
    return digest.hexdigest()


def smallest_and_largest(space: SearchSpace) -> IntArray:
    """Reference architectures of fewest and of most multiply-adds, (2, d). Imports torch."""
    macs = count_macs(space, space.landmarks)
    return np.asarray(space.landmarks[[macs.argmin(), macs.argmax()]])
