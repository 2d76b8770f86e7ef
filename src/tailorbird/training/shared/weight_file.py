"""Files of shared weights that were trained elsewhere, put into a network."""

from pathlib import Path

from torch import Tensor

from tailorbird.errors import WeightsError
from tailorbird.training.shared.network import SharedNetwork
from tailorbird.training.weights.misfits import Misfits
from tailorbird.training.weights.names import Where, sort_names
from tailorbird.training.weights.state_dict import StateDict, plain, read
from tailorbird.training.weights.values import check_kind, converted

_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
"""Last parts of the names of what batch norms keep, which each network takes anew."""


def place(network: SharedNetwork, path: Path, name: str) -> tuple[str, ...]:
    """Puts the state dict of a `SharedNetwork` of the same space into one, all of it or nothing.

    Args:
        network: changed in place.
        path: of a file of safetensors, or of torch's own format.
        name: of the space, for errors.

    Returns:
        What a reader must know: which of several state dicts was taken.

    Raises:
        WeightsError: if names or shapes differ, with missing and surplus ones side by side, or
            values are such that weights cannot have.
    """
    own = network.state_dict()
    state = read(path)
    names = sort_names(state.tensors, lambda given: (given, "") if given in own else None)
    misfits = _misfits(own, state, names.placed, names.unplaced)
    if len(misfits):
        raise WeightsError(
            f"The weights in {str(path)!r} do not fit {name}, in {len(misfits):,} places. In the "
            f"file / looked for: {misfits}. Save the `state_dict()` of a "
            "`tailorbird.training.SharedNetwork` of this very space."
        )
    given: dict[str, Tensor] = {}
    for there, (here, _) in names.placed.items():
        if not _is_statistic(here):
            check_kind(path, plain(there), state.tensors[there], own[here])
            given[here] = converted(path, plain(there), state.tensors[there], own[here])
    network.load_state_dict(given, strict=False)
    return state.remarks


def _misfits(
    own: dict[str, Tensor], state: StateDict, placed: dict[str, Where], unplaced: tuple[str, ...]
) -> Misfits:
    by_place: dict[str, list[str]] = {}
    for there, (here, _) in placed.items():
        by_place.setdefault(here, []).append(there)
    shapes = {
        there: (here, state.tensors[there].shape, own[here].shape)
        for there, (here, _) in placed.items()
        if not _is_statistic(here) and state.tensors[there].shape != own[here].shape
    }
    return Misfits(
        twice=[(names[0], names[1]) for names in by_place.values() if len(names) > 1],
        shapes=shapes,
        unplaced=[name for name in unplaced if not _is_statistic(name)],
        missing=[name for name in own if name not in by_place and not _is_statistic(name)],
    )


def _is_statistic(name: str) -> bool:
    return name.rpartition(".")[2] in _STATISTICS
