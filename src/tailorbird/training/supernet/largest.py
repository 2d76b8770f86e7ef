"""Weights of a trained network, put into the largest of a supernet."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from tailorbird.errors import WeightsError
from tailorbird.spaces import Piece, SharedSpace
from tailorbird.spaces.footprint import built_on_meta
from tailorbird.spaces.shared import smallest_and_largest
from tailorbird.training.shared.fitting_data import n_classes_of
from tailorbird.training.shared.named_tensors import Window
from tailorbird.training.shared.network import SharedNetwork
from tailorbird.training.shared.weight_file import Wanted, fitted, tied_names
from tailorbird.training.supernet.buffers import buffers_of, hand_down
from tailorbird.training.supernet.settings import SupernetTraining


@dataclass(frozen=True, slots=True)
class Placement:
    """Outcome of placing a file of weights.

    Attributes:
        new_head: why the layer of classes is as it was drawn; empty if it is the file's.
        remarks: what else a reader must know.
    """

    new_head: str
    remarks: tuple[str, ...]


def place(
    space: SharedSpace, network: SharedNetwork, path: Path, key: str | None = None
) -> Placement:
    """Puts the state dict of the largest network into a supernet, all of it or nothing.

    Names are those of the module that the space builds, or others that the space knows. Where the
    layer with an output for each class is for other classes, or there is none, it stays as it is;
    so do statistics of batch norms, since each network takes them anew. Smaller networks have their
    parts of weights, and of other buffers where these are such parts.

    Args:
        space: of the networks.
        network: changed in place.
        path: of a file of safetensors, or of torch's own format.
        key: where in the file the weights lie; found out if None.

    Raises:
        WeightsError: if names or shapes differ, with missing and surplus ones side by side, or
            values are such that weights cannot have.
    """
    row = smallest_and_largest(space)[1]
    route = space.route(row)
    own, drawn = {s.name: s for s in _slots(network, route)}, buffers_of(network, route)
    head = _layer_of_classes(own, n_classes_of(space))
    wanted = Wanted(
        {name: slot.values for name, slot in own.items()},
        f"the largest network of {space.name}",
        f"the module that `space.build` makes of {space.describe(row)!r}, which is "
        "`tailorbird.spaces.shared.smallest_and_largest(space)[1]`",
        getattr(space, "own_name", lambda _: None),
        head,
        {name: slot.first for name, slot in own.items() if slot.first != name},
    )
    values, remarks = fitted(wanted, path, key)
    is_new = any(name not in values for name in head)
    for name, slot in own.items():
        if name in values and not (is_new and name in head):
            slot.put(values[name])
    left = hand_down(space, network, route, drawn)
    if left:
        remarks += (
            "The file of the largest network has buffers that those of smaller networks are no "
            f"parts of; {len(left):,} of theirs begin as they are built (first: {left[0]}).",
        )
    remarks += _as_drawn(network, route)
    new_head = f"{str(path)!r} holds none for {n_classes_of(space):,} classes" if is_new else ""
    return Placement(new_head, remarks)


def _as_drawn(network: SharedNetwork, route: Sequence[Piece]) -> tuple[str, ...]:
    """What to say of weights that the largest network has no part of."""
    has = {piece.weights for piece in route}
    sizes = {
        name: sum(p.numel() for p in part.parameters()) for name, part in network.parts.items()
    }
    lacking = [name for name, n in sizes.items() if n and name not in has]
    if not lacking:
        return ()
    share = sum(sizes[name] for name in lacking) / sum(sizes.values())
    return (
        f"{100 * share:.0f} % of all weights are of {len(lacking):,} parts that the largest "
        f"network does not have (first: {lacking[0]}), and begin as they are drawn.",
    )


def check_new_head(why: str, settings: SupernetTraining) -> None:
    """Refuses settings that need the layer of classes, where it is as it was drawn.

    Args:
        why: it is.
        settings: of the training that begins with it.

    Raises:
        WeightsError: naming the setting.
    """
    if not settings.learning_rates.get("head"):
        raise WeightsError(
            "The learning rate of `head` must be above 0, since its last layer is drawn anew "
            f"({why}), but it is 0. Leave it out, or name weights with a head for the classes of "
            "the space."
        )
    if settings.importance == "taylor":
        raise WeightsError(
            'Importance "taylor" needs a head that was trained, but its last layer is drawn anew '
            f'({why}). Take importance = "l1", or name weights with a head for the classes of the '
            "space."
        )


@dataclass(frozen=True, slots=True)
class _Slot:
    """Where a weight of the largest network goes: a part of a tensor that networks share."""

    name: str
    kind: str
    shared: Tensor
    window: Window
    first: str  # its first name, if it has several

    @property
    def values(self) -> Tensor:
        return self.shared.detach()[self.window]

    def put(self, values: Tensor) -> None:
        with torch.no_grad():
            self.shared[self.window] = values


def _slots(network: SharedNetwork, route: Sequence[Piece]) -> Iterator[_Slot]:
    for number, piece in enumerate(route):
        windows = network.windows_of(piece)
        named = [*built_on_meta(piece.workload.build).named_parameters(remove_duplicate=False)]
        tied = tied_names(named)
        for name, _ in named:
            known = tied.get(name, name)
            yield _Slot(f"{number}.{name}", piece.kind, *windows[known], f"{number}.{known}")
        for name, buffer in network.persistent_buffers_of(piece).items():
            yield _Slot(f"{number}.{name}", piece.kind, buffer, (), f"{number}.{name}")


def _layer_of_classes(own: Mapping[str, _Slot], n_classes: int) -> frozenset[str]:
    """Names of the weights of the last layer of the head, which has an output for each class."""
    layers = [
        name.rpartition(".")[0]
        for name, slot in own.items()
        if slot.kind == "head" and slot.values.ndim > 1 and len(slot.values) == n_classes
    ]
    return frozenset(name for name in own if layers and name.rpartition(".")[0] == layers[-1])
