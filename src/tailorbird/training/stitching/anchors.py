"""Pretrained weights of anchors, put from files of others into the parts of a network."""

from collections import defaultdict
from collections.abc import Mapping, Set
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from tailorbird.errors import WeightsError, WeightsKeyError
from tailorbird.spaces.stitching import Part, Pretrained
from tailorbird.spaces.stitching.family import parts_of
from tailorbird.training.shared.network import SharedNetwork
from tailorbird.training.weights.misfits import Misfits
from tailorbird.training.weights.names import Place, Sorted, sort_names
from tailorbird.training.weights.state_dict import StateDict, listed, plain, read
from tailorbird.training.weights.values import check_kind, converted

_COUNTER = "num_batches_tracked"  # of norms; nothing depends on it

_Own = Mapping[tuple[Part, str], Tensor]
"""The network's tensors of one anchor, by part and name there."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Outcome of placing a file of weights.

    Attributes:
        new_head: why the anchor's last layer is as it was drawn; empty if it is the file's.
        remarks: what else a reader must know: which weights were taken, and what was left out.
    """

    new_head: str
    remarks: tuple[str, ...]


def place(
    network: SharedNetwork, family: Pretrained, anchor: int, path: Path, key: str | None = None
) -> Placement:
    """Puts an anchor's own state dict into the parts of a network, all of it or nothing.

    Where the file's last layer is for other classes, or there is none, the network keeps its own.

    Args:
        network: changed in place.
        family: of the anchor.
        anchor: its number.
        path: of the file.
        key: where in the file the state dict lies; found out if None.

    Raises:
        WeightsError: if it does not fit, with names and shapes side by side, or holds values that
            weights cannot have.
    """
    own = _own(network, family, anchor)
    find = _finder(family, anchor, own)
    state = read(path, key)
    names = sort_names(state.tensors, find)
    for name, where in names.placed.items():
        check_kind(path, plain(name), state.tensors[name], own[where])
    given = {where: state.tensors[name] for name, where in names.placed.items()}
    fresh, new_head = _fresh(family, own, given, path)
    places = {where: name for name, where in names.placed.items() if where not in fresh}
    misfits = _misfits(family, own, state, names, fresh, places)
    if len(misfits):
        keys = _fitting_keys(state, find, _needed(own) - fresh.keys())
        what = f"{family.anchors[anchor]} of {family.name}"
        raise _refusal(state, names.owner, what, misfits, keys)
    network.load_state_dict(
        {
            f"parts.{part}.{inner}": converted(
                path, plain(name), state.tensors[name], own[part, inner]
            )
            for (part, inner), name in places.items()
        },
        strict=False,
    )
    return Placement(new_head, (*state.remarks, *_left_out(path, names.no_weights)))


def _finder(family: Pretrained, anchor: int, own: _Own) -> Place:
    """Finds the place of a weight by its name in an anchor's state dict, if the network has one."""

    def find(name: str) -> tuple[Part, str] | None:
        try:
            part, inner = family.place(anchor, name)
        except (LookupError, ValueError):
            return None
        return (part, inner) if (part, inner) in own else None

    return find


def _misfits(
    family: Pretrained,
    own: _Own,
    state: StateDict,
    names: Sorted,
    fresh: _Own,
    places: Mapping[tuple[Part, str], str],
) -> Misfits:
    """What does not fit between a file and the network, besides a head that stays as drawn."""
    shapes = {
        name: (_name(family, *where), state.tensors[name].shape, own[where].shape)
        for where, name in places.items()
        if state.tensors[name].shape != own[where].shape
    }
    unplaced = [name for name in names.unplaced if not name.endswith(_COUNTER)]
    missing = _needed(own) - {*names.placed.values()}
    looked_for = missing - fresh.keys()
    if unplaced and not looked_for:  # they may be a head's by another name
        looked_for = missing
    return Misfits(
        _twice(names.placed),
        shapes,
        unplaced,
        [_name(family, *where) for where in own if where in looked_for],
    )


def _needed(own: _Own) -> set[tuple[Part, str]]:
    return {where for where in own if not where[1].endswith(_COUNTER)}


def _own(network: SharedNetwork, family: Pretrained, anchor: int) -> _Own:
    return {
        (part, inner): tensor
        for part in parts_of(family, anchor)
        for inner, tensor in network.parts[str(part)].state_dict().items()
    }


def _fresh(
    family: Pretrained, own: _Own, given: _Own, path: Path
) -> tuple[dict[tuple[Part, str], Tensor], str]:
    """Tensors of the head that stay as they were drawn, and why.

    They are those of a layer with an output for each class, if the file has none, or one with
    another number of outputs; and those of the whole head, if it has nothing of it.
    """
    layers: dict[str, list[tuple[Part, str]]] = defaultdict(list)
    for part, inner in own:
        if part.kind == "head":
            layers[inner.rpartition(".")[0]].append((part, inner))
    head = [where for layer in layers.values() for where in layer]
    if not any(where in given for where in head):
        return {where: own[where] for where in head}, f"{str(path)!r} holds none"
    of_classes = [
        layer
        for layer in layers.values()
        if any(own[w].dim() > 1 and len(own[w]) == family.n_classes for w in layer)
    ]
    if not of_classes:
        return {}, ""
    layer = of_classes[-1]  # another may be as wide by chance, but classes come last
    there = [given[where] for where in layer if where in given]
    fresh = {where: own[where] for where in layer}
    if not there:
        return fresh, f"{str(path)!r} holds none"
    sizes = {len(tensor) if tensor.dim() else 0 for tensor in there}
    alike = all(given[w].shape[1:] == own[w].shape[1:] for w in layer if w in given)
    if len(there) == len(layer) and alike and len(sizes) == 1 and family.n_classes not in sizes:
        return fresh, f"that in {str(path)!r} is for {sizes.pop():,}"
    return {}, ""


def _name(family: Pretrained, part: Part, inner: str) -> str:
    """What the anchor's own state dict calls a weight, if its family tells; else part and name."""
    name_of = getattr(family, "name_of", None)
    return f"{part}.{inner}" if name_of is None else str(name_of(part, inner))


def _twice(placed: Mapping[str, tuple[Part, str]]) -> list[tuple[str, str]]:
    """Pairs of names with one place."""
    found: dict[tuple[Part, str], list[str]] = defaultdict(list)
    for name, where in placed.items():
        found[where].append(name)
    return [(names[0], names[1]) for names in found.values() if len(names) > 1]


def _refusal(
    state: StateDict, owner: str | None, what: str, misfits: Misfits, keys: list[str]
) -> WeightsError:
    """The error of a file that does not fit; keys are of parts of it that fit alone."""
    taken = f", under {state.key!r}," if state.key else ""
    reason = (
        f"The weights in {str(state.path)!r}{taken} do not fit {what}, in "
        f"{_counted(len(misfits), 'place')}. In the file / looked for: {misfits}. "
    )
    if owner:
        reason += f"Its names are those of {owner}. "
    if state.others:
        reason += f"There are others under {listed(state.others)}, which a key chooses. "
    if keys:
        reason += (
            f"The names under {listed(keys)} fit alone: choose by a key, such as "
            f"{plain(keys[0])!r}."
        )
    else:
        reason += "Name the file of that anchor."
    choices = [*keys, *state.others]
    return (
        WeightsKeyError(reason, state.path, plain(choices[0])) if choices else WeightsError(reason)
    )


def _fitting_keys(state: StateDict, find: Place, needed: Set[tuple[Part, str]]) -> list[str]:
    """Keys of those parts of the names that fit by themselves."""
    keys: list[str] = []
    for key, group in state.beginnings():
        if len(group) < len(needed) or any(key.startswith(f"{known}.") for known in keys):
            continue
        names = sort_names(group, find)
        if needed <= set(names.placed.values()) and not names.unplaced:
            keys.append(key)
    return keys


def _left_out(path: Path, no_weights: tuple[str, ...]) -> tuple[str, ...]:
    if not no_weights:
        return ()
    return (
        f"{_counted(len(no_weights), 'tensor')} of {str(path)!r} left out, as no weights: "
        f"{listed(no_weights)}.",
    )


def _counted(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"
