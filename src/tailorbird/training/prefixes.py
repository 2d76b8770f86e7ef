"""Routes that begin alike share what they have in common."""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from tailorbird.spaces.stitching import Part
from tailorbird.training.network import StitchedNetwork

Route = tuple[Part, ...]


@dataclass(slots=True)
class Prefix:
    """A beginning of routes.

    Attributes:
        module: of its last part; its parameters are the network's, its norms its own.
        longer: beginnings with one part more.
    """

    module: nn.Module
    longer: "dict[Part, Prefix]" = field(default_factory=dict)


class Prefixes:
    """The tree of all beginnings of some routes.

    Routes share weights but not activations, so each beginning has batch norms of its own, whose
    statistics are taken anew on training images that come through that beginning.

    Args:
        network: whose parts the routes run.
        routes: each once.
        images: training images, (n, channels, height, width).

    References:
        Yu, Huang: Universally Slimmable Networks. ICCV 2019, section 3.3.
    """

    def __init__(self, network: StitchedNetwork, routes: Sequence[Route], images: Tensor) -> None:
        self.network = network
        self.roots: dict[Part, Prefix] = {}
        self.n_prefixes = 0
        for route in routes:
            level = self.roots
            for part in route:
                if part not in level:
                    level[part] = Prefix(_own_norms(network.parts[str(part)]))
                    self.n_prefixes += 1
                level = level[part].longer
        if any(isinstance(m, _BatchNorm) for m in network.modules()):
            for _ in self.outputs(images):  # norms learn as images pass
                pass
            for norm in self._norms(self.roots):
                norm.eval()

    def modules_of(self, route: Route) -> list[nn.Module]:
        """The modules of one of the routes, in the order in which they run."""
        found, level = [], self.roots
        for part in route:
            found.append(level[part].module)
            level = level[part].longer
        return found

    @torch.no_grad()
    def outputs(self, x: Tensor) -> Iterator[tuple[Route, Tensor]]:
        """Each route with its output for a batch; no beginning is run twice."""
        yield from _outputs(self.roots, (), x)

    def _norms(self, level: dict[Part, Prefix]) -> Iterator[nn.Module]:
        for prefix in level.values():
            yield from (m for m in prefix.module.modules() if isinstance(m, _BatchNorm))
            yield from self._norms(prefix.longer)


def _outputs(level: dict[Part, Prefix], route: Route, x: Tensor) -> Iterator[tuple[Route, Tensor]]:
    while len(level) == 1:  # lets go of activations that nothing else needs
        ((part, prefix),) = level.items()
        x, route, level = prefix.module(x), (*route, part), prefix.longer
    if not level:
        yield route, x
    for part, prefix in level.items():
        yield from _outputs(prefix.longer, (*route, part), prefix.module(x))


def _own_norms(module: nn.Module) -> nn.Module:
    """A twin that shares all parameters, with fresh norms that average what they see once."""
    if not any(isinstance(m, _BatchNorm) for m in module.modules()):
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
