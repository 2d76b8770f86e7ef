"""Files of shared weights that were trained elsewhere, put into a network."""

from collections.abc import Iterator
from pathlib import Path

from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from tailorbird.errors import WeightsError
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
    known = network.state_dict()
    statistics = {*_statistics(network)}
    own = {name: tensor for name, tensor in known.items() if name not in statistics}
    state = read(path, key)
    names = sort_names(state.tensors, lambda given: (given, "") if given in known else None)
    placed = {there: here for there, (here, _) in names.placed.items() if here in own}
    misfits = _misfits(own, state, placed, names.unplaced)
    if len(misfits):
        raise WeightsError(
            f"The weights in {str(path)!r} do not fit {name}, in {len(misfits):,} places. In the "
            f"file / looked for: {misfits}. Save the `state_dict()` of a "
            "`tailorbird.training.SharedNetwork` of this very space."
        )
    given: dict[str, Tensor] = {}
    for there, here in placed.items():
        check_kind(path, plain(there), state.tensors[there], own[here])
        given[here] = converted(path, plain(there), state.tensors[there], own[here])
    network.load_state_dict(given, strict=False)
    return state.remarks


def _misfits(
    own: dict[str, Tensor], state: StateDict, placed: dict[str, str], unplaced: tuple[str, ...]
) -> Misfits:
    by_place: dict[str, list[str]] = {}
    for there, here in placed.items():
        by_place.setdefault(here, []).append(there)
    shapes = {
        there: (here, state.tensors[there].shape, own[here].shape)
        for there, here in placed.items()
        if state.tensors[there].shape != own[here].shape
    }
    return Misfits(
        twice=[(names[0], names[1]) for names in by_place.values() if len(names) > 1],
        shapes=shapes,
        unplaced=[n for n in unplaced if n.rpartition(".")[2] not in _STATISTICS],
        missing=[name for name in own if name not in by_place],
    )


def _statistics(network: SharedNetwork) -> Iterator[str]:
    """Names of what the batch norms of a network keep."""
    for prefix, module in network.named_modules():
        if isinstance(module, _BatchNorm):
            yield from (f"{prefix}.{name}" for name in module._buffers)
