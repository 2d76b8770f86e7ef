"""Routes as a tree of their beginnings, so that what several have in common is run once."""

import copy
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from tailorbird.errors import ContractError
from tailorbird.spaces import Piece
from tailorbird.training.shared.network import SharedNetwork

Route = tuple[Piece, ...]


@dataclass(slots=True)
class Prefix:
    """A beginning that routes share: a node of the tree.

    Attributes:
        module: of its last piece; its norms are its own, its parameters the network's, or copies of
            windows of them, which all prefixes with this piece have in common.
        is_route: whether a route ends here; others may go on.
        longer: beginnings with one piece more.
    """

    module: nn.Module
    is_route: bool = False
    longer: "dict[Piece, Prefix]" = field(default_factory=dict)


class Prefixes:
    """The tree of all beginnings of some routes.

    Routes share weights but not activations, so each beginning has batch norms of its own, whose
    statistics are taken anew on training images that come through that beginning.

    Args:
        network: whose pieces the routes run.
        routes: each once.
        batches: of training images, (n, channels, height, width) each.

    References:
        Yu, Huang: Universally Slimmable Networks. ICCV 2019, section 3.3.
    """

    @torch.inference_mode(mode=False)
    def __init__(
        self, network: SharedNetwork, routes: Sequence[Route], batches: Iterable[Tensor]
    ) -> None:
        self.network = network
        self.roots: dict[Piece, Prefix] = {}
        self.n_prefixes = 0
        modules: dict[Piece, nn.Module] = {}
        for route in routes:
            level = self.roots
            for number, piece in enumerate(route, 1):
                if piece not in level:
                    if piece not in modules:
                        modules[piece] = network.module_of(piece)
                    level[piece] = Prefix(_own_norms(modules[piece]))
                    self.n_prefixes += 1
                level[piece].is_route |= number == len(route)
                level = level[piece].longer
        norms = [*self._norms(self.roots)]
        if norms:
            for images in batches:
                for _ in self.outputs(images):  # norms learn as images pass
                    pass
            for norm in norms:
                norm.eval()

    def modules_of(self, route: Route) -> list[nn.Module]:
        """The modules of one of the routes, in the order in which they run."""
        modules, level = [], self.roots
        for piece in route:
            modules.append(level[piece].module)
            level = level[piece].longer
        return modules

    @torch.inference_mode(mode=False)  # its tensors would not tell whether they were changed
    @torch.no_grad()
    def outputs(self, x: Tensor) -> Iterator[tuple[Route, Tensor]]:
        """Each route with its output for a batch; no beginning is run twice."""
        yield from _outputs(self.roots, (), x.clone() if x.is_inference() else x)

    def _norms(self, level: dict[Piece, Prefix]) -> Iterator[nn.Module]:
        for prefix in level.values():
            yield from (m for m in prefix.module.modules() if _has_statistics(m))
            yield from self._norms(prefix.longer)


def _outputs(level: dict[Piece, Prefix], route: Route, x: Tensor) -> Iterator[tuple[Route, Tensor]]:
    while len(level) == 1:  # lets go of activations that nothing else needs
        ((piece, prefix),) = level.items()
        x, route, level = run(prefix.module, x, str(piece)), (*route, piece), prefix.longer
        if prefix.is_route:
            yield route, x
    for piece, prefix in level.items():
        yield from _outputs({piece: prefix}, route, x)


def run(module: nn.Module, x: Tensor, part: str) -> Tensor:
    """Runs a part of that name, and returns its output.

    Raises:
        ContractError: if it changed its input, which others may need.
    """
    version = x._version
    y: Tensor = module(x)
    if x._version != version:
        raise ContractError(
            f"A part must leave its input as it is, but {part} works in place on it. "
            "Leave out `inplace=True` at its beginning."
        )
    return y


def _own_norms(module: nn.Module) -> nn.Module:
    """Copy that shares all parameters, with fresh statistics of its norms."""
    if not any(map(_has_statistics, module.modules())):
        return module
    twin = copy.copy(module)
    if isinstance(twin, _BatchNorm):
        twin._buffers = {name: torch.empty_like(b) for name, b in module.named_buffers()}
        twin.reset_running_stats()
        twin.momentum = None  # a plain average
        return twin.train()
    twin._modules = {
        name: _own_norms(child) if child is not None else None
        for name, child in module._modules.items()
    }
    return twin


def _has_statistics(module: nn.Module) -> bool:
    """True for batch norms, but for those that use each batch's own statistics always."""
    return isinstance(module, _BatchNorm) and module.running_mean is not None
