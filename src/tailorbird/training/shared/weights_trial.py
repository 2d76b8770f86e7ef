"""Trial of what networks keep beside the weights that they share, and of how it can be kept."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from tailorbird.errors import ContractError
from tailorbird.spaces import IntArray, Piece, SharedSpace
from tailorbird.spaces.footprint import built_on_meta
from tailorbird.spaces.trial import told
from tailorbird.training.shared.network import SharedNetwork


def check_state(network: SharedNetwork) -> None:
    """Refuses weights that cannot be kept and loaded part by part.

    Raises:
        ContractError: naming them.
    """
    owners: dict[int, str] = {}
    for name, tensor in network.state_dict().items():
        short = name.removeprefix("parts.")
        if not tensor.numel():
            continue
        if any(n > 1 and not step for n, step in zip(tensor.shape, tensor.stride(), strict=True)):
            raise ContractError(
                f"Each value of a weight must have memory of its own, but {short} is expanded. "
                "Add `.clone()`."
            )
        owner = owners.setdefault(tensor.untyped_storage().data_ptr(), short)
        if owner.partition(".")[0] != short.partition(".")[0]:
            raise ContractError(
                f"Parts must have weights of their own, but {owner} and {short} share theirs. "
                "Make every weight in the module that it belongs to."
            )


def check_built(space: SharedSpace, network: SharedNetwork, row: IntArray) -> None:
    """Refuses a network that is built in another way than of the modules of its route.

    Args:
        space: that builds it.
        network: with all weights.
        row: canonical, of the network.

    Raises:
        ContractError: naming a weight or buffer that differs.
    """
    route = space.route(row)
    sequence = built_on_meta(lambda: nn.Sequential(*(p.workload.build() for p in route)))
    own, wanted = (
        {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
        for module in (built_on_meta(lambda: space.build(row)), sequence)
    )
    for name in [n for n in (*wanted, *own) if own.get(n) != wanted.get(n)][:1]:
        raise ContractError(
            "A network must be built as `nn.Sequential` of the modules of its route, or trained "
            f"weights do not fit it, but {name!r} of {space.describe(row)} has shape "
            f"{own.get(name, 'none')}, and {wanted.get(name, 'none')} in the sequence."
        )
    for piece in route:
        kept = network.buffers_of(piece)
        if kept:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(1)
                again = piece.workload.build()
            built = {name: again.get_buffer(name) for name in kept}
            check_buffers(piece, kept, built, "depends on chance")


def check_buffers(
    piece: Piece, before: Mapping[str, Tensor], after: Mapping[str, Tensor], said: str
) -> None:
    """Refuses buffers that would be lost: those of no file of weights, where they differ.

    Args:
        piece: whose they are.
        before: as they were built.
        after: as they are in the end.
        said: what they do, if they differ.

    Raises:
        ContractError: naming one.
    """
    for name, buffer in after.items():
        if name not in before or not torch.equal(before[name], buffer):
            raise ContractError(
                "Buffers that are not persistent are in no file of weights, so they must stay as "
                f"they are built, but {name!r} of {piece} ({told(piece.workload)}) {said}. Make it "
                "persistent, or leave it out."
            )
