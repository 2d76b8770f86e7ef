"""Files of shared weights that were trained elsewhere, put into a network."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from tailorbird.errors import WeightsError
from tailorbird.spaces.module import said_of
from tailorbird.training.shared.network import SharedNetwork
from tailorbird.training.weights.misfits import Misfits
from tailorbird.training.weights.names import sort_names
from tailorbird.training.weights.state_dict import StateDict, plain, read
from tailorbird.training.weights.values import check_kind, converted

_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
"""Last parts of the names of what batch norms keep."""


def place(network: SharedNetwork, path: Path, name: str, key: str | None = None) -> tuple[str, ...]:
    """Puts the state dict of a `SharedNetwork` of the same space into one, all of it or nothing.

    Statistics of batch norms stay as they are, since each network takes them anew.

    Args:
        network: changed in place.
        path: of a file of safetensors, or of torch's own format.
        name: of the space, for errors.
        key: where in the file the weights lie; found out if None.

    Returns:
        What a reader must know: which of several state dicts was taken.

    Raises:
        WeightsError: if names or shapes differ, with missing and surplus ones side by side, or
            values are such that weights cannot have.
    """
    statistics = {*_statistics(network)}
    own = {name: t for name, t in network.state_dict().items() if name not in statistics}
    tied = tied_names(network.named_parameters(remove_duplicate=False))
    of = "a `tailorbird.training.SharedNetwork` of this very space"
    wanted = Wanted(own, name, of, tied=tied)
    given, remarks = fitted(wanted, path, key)
    network.load_state_dict(given, strict=False)
    return remarks


@dataclass(frozen=True, slots=True)
class Wanted:
    """Weights that a file must hold.

    Attributes:
        own: tensors in whose places they go, by name.
        name: of what they are weights of, for errors.
        saved: whose state dict fits, for errors.
        rename: gives the name of a tensor that others call by another; or None.
        optional: names of those that may be missing, or of other shapes.
        tied: for further names of a tensor that has several, the first; a file needs one of them.
    """

    own: Mapping[str, Tensor]
    name: str
    saved: str
    rename: Callable[[str], str | None] = lambda name: name
    optional: Collection[str] = ()
    tied: Mapping[str, str] = field(default_factory=dict)

    def first(self, name: str) -> str:
        """First name of the tensor that has this one."""
        return self.tied.get(name, name)


def tied_names(named: Iterable[tuple[str, Tensor]]) -> dict[str, str]:
    """The first name by each further one, of tensors that have several."""
    first = dict[int, str]()
    names = {name: first.setdefault(id(tensor), name) for name, tensor in named}
    return {name: one for name, one in names.items() if name != one}


def fitted(
    wanted: Wanted, path: Path, key: str | None = None
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Values of weights in a file, by their names here, and what a reader must know of the choice.

    Args:
        wanted: what is looked for.
        path: of the file.
        key: where in it the weights lie; found out if None.

    Raises:
        WeightsError: if names or shapes differ, with missing and surplus ones side by side, or
            values are such that weights cannot have.
        ContractError: if `rename` fails.
    """
    own = wanted.own

    def find(given: str) -> tuple[str, str] | None:
        law = "`names` of a space must give a name, or None, for that of any tensor in a file, but "
        with said_of(f"{law}for {plain(given)!r} it failed", " Give None where none is known."):
            name = given if given in own else wanted.rename(given)
            return None if name is None or name not in own else (name, "")

    state = read(path, key)
    names = sort_names(state.tensors, find)
    placed = {there: here for there, (here, _) in names.placed.items()}
    for there, here in [*placed.items()]:
        if here in wanted.optional and state.tensors[there].shape != own[here].shape:
            del placed[there]
    misfits = _misfits(wanted, state, placed, names.unplaced)
    if len(misfits):
        raise WeightsError(
            f"The weights in {str(path)!r} do not fit {wanted.name}, in {len(misfits):,} places. "
            f"In the file / looked for: {misfits}. Save the `state_dict()` of {wanted.saved}."
        )
    values: dict[str, Tensor] = {}
    for there, here in placed.items():
        check_kind(path, plain(there), state.tensors[there], own[here])
        values[here] = converted(path, plain(there), state.tensors[there], own[here])
    for name, first in wanted.tied.items():
        if name not in values:
            continue
        known = values.setdefault(first, values[name])
        if not torch.equal(values[name], known):
            raise WeightsError(
                f"{first!r} and {name!r} are one weight of {wanted.name}, but their values in "
                f"{str(path)!r} differ. Tie them before training, or name another file."
            )
    return values, state.remarks


def _misfits(
    wanted: Wanted, state: StateDict, placed: dict[str, str], unplaced: tuple[str, ...]
) -> Misfits:
    own, first = wanted.own, wanted.first
    by_place: dict[str, list[str]] = {}
    for there, here in placed.items():
        by_place.setdefault(here, []).append(there)
    shapes = {
        there: (here, state.tensors[there].shape, own[here].shape)
        for there, here in placed.items()
        if state.tensors[there].shape != own[here].shape
    }
    known = {first(name) for name in by_place}
    return Misfits(
        twice=[(names[0], names[1]) for names in by_place.values() if len(names) > 1],
        shapes=shapes,
        unplaced=[n for n in unplaced if n.rpartition(".")[2] not in _STATISTICS],
        missing=[n for n in own if first(n) not in known and n not in wanted.optional],
    )


def _statistics(network: SharedNetwork) -> Iterator[str]:
    """Names of what the batch norms of a network keep."""
    for prefix, module in network.named_modules():
        if isinstance(module, _BatchNorm):
            yield from (f"{prefix}.{name}" for name in module._buffers)
