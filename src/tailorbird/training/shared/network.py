"""All weights of a space in one module, so that networks share them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from tailorbird.errors import ContractError
from tailorbird.spaces import Piece, SharedSpace
from tailorbird.training.shared.named_tensors import Window
from tailorbird.training.shared.shared_tensors import SharedTensors
from tailorbird.training.shared.windows import WindowedModule


class SharedNetwork(nn.Module):
    """Every weight of a space once; a forward pass runs the pieces of one route.

    Pieces with weights of their own are plain modules. Those that share weights of one name have
    windows of the same tensors, and nothing else in common: each runs a plain module of its own,
    as its workload builds it.

    Args:
        space: of the networks.

    Raises:
        ContractError: if weights of one name cannot be shared, or torch cannot have that name.
    """

    def __init__(self, space: SharedSpace) -> None:
        super().__init__()
        self.parts = nn.ModuleDict()
        self._windowed: dict[tuple[object, ...], WindowedModule] = {}  # by form
        self._drop_path = 0.0
        of_name: dict[str, list[Piece]] = {}
        for piece in space.pieces:
            of_name.setdefault(piece.weights, []).append(piece)
        for name, pieces in of_name.items():
            modules = [piece.workload.build() for piece in pieces]
            if hasattr(self.parts, name):
                raise ContractError(
                    f"Weights must have other names than members of `torch.nn.ModuleDict`, but "
                    f"some of {space.name} are called {name!r}. Give them another name."
                )
            if len(pieces) == 1:
                self.parts[name] = modules[0]
                continue
            shared = self.parts[name] = SharedTensors(modules)
            for piece, module in zip(pieces, modules, strict=True):
                self._windowed[piece.form] = WindowedModule(module, shared)

    @classmethod
    def joined(cls, networks: Mapping[str, "SharedNetwork"]) -> Self:
        """The network of all weights of several, which it has in common with these.

        Args:
            networks: by what the names of their weights begin with here, as in a union of spaces.
        """
        joined = cls.__new__(cls)
        nn.Module.__init__(joined)
        joined.parts, joined._windowed, joined._drop_path = nn.ModuleDict(), {}, 0.0
        for prefix, network in networks.items():
            for name, module in network.parts.items():
                joined.parts[f"{prefix}{name}"] = module
            for (weights, *form), windowed in network._windowed.items():
                joined._windowed[(f"{prefix}{weights}", *form)] = windowed
        return joined

    def forward(self, x: Tensor, route: Sequence[Piece]) -> Tensor:
        """Logits (n, classes) of images (n, channels, height, width), along one route."""
        for y in self.states(x, route):
            x = y
        return x

    def states(self, x: Tensor, route: Sequence[Piece]) -> Iterator[Tensor]:
        """Yields the output of each piece of a route for images; the last one are the logits."""
        for number, piece in enumerate(route, 1):
            y = self.run(piece, x)
            if self.training and self._drop_path and piece.kind == "block" and y.shape == x.shape:
                y = _left_out(x, y, self._drop_path * number / len(route))
            yield y
            x = y

    @contextmanager
    def dropping(self, drop_path: float) -> Iterator[None]:
        """Leaves blocks out for some images inside, while networks are in training mode.

        Args:
            drop_path: how often the last piece of a route is left out; earlier ones are less often.

        References:
            Huang, Sun, Liu, Sedra, Weinberger: Deep Networks with Stochastic Depth. ECCV 2016.
        """
        self._drop_path = drop_path
        try:
            yield
        finally:
            self._drop_path = 0.0

    def run(self, piece: Piece, x: Tensor) -> Tensor:
        """Output of one piece."""
        module = self._windowed.get(piece.form)
        y: Tensor = self.parts[piece.weights](x) if module is None else module(x)
        return y

    def drop_windows(self, route: Sequence[Piece]) -> None:
        """Frees the windows of a route; call once no gradient is to be had through them.

        They stay until the same piece runs again otherwise, since activations may be computed anew
        for a gradient; those of all pieces are many times as large as what they are windows of.
        """
        for piece in route:
            if piece.form in self._windowed:
                self._windowed[piece.form].drop()

    def module_of(self, piece: Piece) -> nn.Module:
        """A piece as a plain module.

        It has the network's weights if no other piece shares them, else a copy of its windows.
        """
        module = self._windowed.get(piece.form)
        return self.parts[piece.weights] if module is None else module.plain()

    def parameters_of(self, piece: Piece) -> list[nn.Parameter]:
        """The network's parameters that a piece has, or has windows of."""
        module = self._windowed.get(piece.form)
        return [*self.parts[piece.weights].parameters()] if module is None else module.parameters

    def windows_of(self, piece: Piece) -> dict[str, tuple[nn.Parameter, Window]]:
        """Parameters of a piece by name: the network's tensor, and the part of it that each is.

        The part is empty where it is the whole tensor.
        """
        module = self._windowed.get(piece.form)
        if module is not None:
            return module.windows
        return {name: (values, ()) for name, values in self.parts[piece.weights].named_parameters()}

    def buffers_of(self, piece: Piece) -> dict[str, Tensor]:
        """Buffers of a piece that no file of weights has, since they are not persistent."""
        return {name: buffer for name, buffer, is_kept in self._buffers_in(piece) if not is_kept}

    def persistent_buffers_of(self, piece: Piece) -> dict[str, Tensor]:
        """Buffers of a piece that files of weights have; statistics of norms are none of them."""
        return {name: buffer for name, buffer, is_kept in self._buffers_in(piece) if is_kept}

    def _buffers_in(self, piece: Piece) -> Iterator[tuple[str, Tensor, bool]]:
        """Names and values of buffers, and whether they are persistent."""
        windowed = self._windowed.get(piece.form)
        whole = self.parts[piece.weights] if windowed is None else windowed.module
        for prefix, module in whole.named_modules():
            if not isinstance(module, _BatchNorm):
                for leaf, buffer in module.named_buffers(recurse=False):
                    name = f"{prefix}.{leaf}" if prefix else leaf
                    yield name, buffer, leaf not in module._non_persistent_buffers_set

    def named_layers(self, kind: str) -> Iterator[tuple[str, nn.Module]]:
        """Modules of all weights of one kind, by their names."""
        return ((n, m) for n, m in self.parts.items() if n.partition("-")[0] == kind)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Casts or moves everything, also the statistics of norms, which no file has."""
        for windowed in self._windowed.values():
            windowed.apply_to_buffers(fn)
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]  # torch leaves it so
        return self

    def inner_modules(self) -> Iterator[nn.Module]:
        """Yields modules that run with windows of weights, which are not registered."""
        for windowed in self._windowed.values():
            yield from windowed.module.modules()

    def train(self, mode: bool = True) -> Self:
        """Puts all modules into training mode, or into evaluation mode."""
        for windowed in self._windowed.values():
            windowed.module.train(mode)
        return super().train(mode)


def _left_out(x: Tensor, y: Tensor, share: float) -> Tensor:
    """Output of a block, but for a share of the images its input; the mean stays the output."""
    kept = torch.rand(len(x), *[1] * (x.ndim - 1), device=x.device) >= share
    return torch.where(kept, x + (y - x) / (1 - share), x)


def fresh(space: SharedSpace, seed: int) -> SharedNetwork:
    """A network whose weights the seed decides."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return SharedNetwork(space)
