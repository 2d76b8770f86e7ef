"""Checkpoints, from which interrupted training goes on to the same result."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn, optim

from tailorbird.storage.tensors import write
from tailorbird.training.compute import CPU
from tailorbird.training.ranks import ALONE, Ranks


@dataclass(frozen=True, slots=True)
class State:
    """What the next step depends on.

    Attributes:
        network: that is trained.
        optimizer: of its weights.
        counts: updates by part.
        averages: of weights, by name.
        scaler: of losses.
    """

    network: nn.Module
    optimizer: optim.Optimizer
    counts: dict[str, int] = field(default_factory=dict)
    averages: dict[str, Tensor] = field(default_factory=dict)
    scaler: torch.amp.GradScaler = field(default_factory=CPU.scaler)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A file with the state of training after so many steps.

    Attributes:
        path: of the file.
        identity: text of all that decides the result; a checkpoint of another is not loaded.
        names: of the weights that are trained; no others are saved or touched.
        ranks: that train together, of which the first has the file.
    """

    path: Path
    identity: str
    names: Sequence[str]
    ranks: Ranks = ALONE

    def save(self, state: State, step: int) -> None:
        """Writes the state after so many steps, whole or not at all.

        Raises:
            WriteError: if it cannot be written.
        """
        if not self.ranks.is_first:
            return
        optimizer = state.optimizer.state_dict()
        weights = weights_of(state.network, self.names)
        tensors = {f"network.{name}": tensor for name, tensor in weights.items()}
        tensors |= {f"average.{name}": tensor for name, tensor in state.averages.items()}
        for number, values in optimizer["state"].items():
            tensors |= {f"optimizer.{number}.{name}": t for name, t in values.items()}
        metadata = {
            "identity": self.identity,
            "step": str(step),
            "groups": json.dumps(optimizer["param_groups"]),
            "updates": json.dumps(state.counts),
            "scaler": json.dumps(state.scaler.state_dict()),
        }
        write(self.path, tensors, metadata)

    def load(self, state: State) -> int:
        """Restores the state.

        Returns:
            How many steps were done; 0 if there is no file.
        """
        content = self.ranks.read(self.path, self.identity)
        if content is None:
            return 0
        tensors, metadata = content
        by_kind = dict[str, dict[str, Tensor]](network={}, average={}, optimizer={})
        for name, tensor in tensors.items():
            kind, _, rest = name.partition(".")
            by_kind[kind][rest] = tensor
        if by_kind["average"].keys() != state.averages.keys():
            return 0
        if not put_weights(state.network, self.names, by_kind["network"]):
            return 0
        states: dict[int, dict[str, Tensor]] = {}
        for name, tensor in by_kind["optimizer"].items():
            number, _, value = name.partition(".")
            states.setdefault(int(number), {})[value] = tensor
        groups = json.loads(metadata["groups"])
        state.optimizer.load_state_dict({"state": states, "param_groups": groups})
        state.counts.update(json.loads(metadata.get("updates", "{}")))
        for name, average in state.averages.items():
            average.copy_(by_kind["average"][name])
        scaler = json.loads(metadata.get("scaler", "{}"))
        if scaler:
            state.scaler.load_state_dict(scaler)
        return int(metadata["step"])

    def remove(self) -> None:
        """Deletes the file; call once the finished weights are saved."""
        if self.ranks.is_first:
            self.path.unlink(missing_ok=True)


def weights_of(network: nn.Module, names: Sequence[str]) -> dict[str, Tensor]:
    """Weights of some names of a network, by their names in its state dict."""
    prefixes = tuple(f"parts.{name}." for name in names)
    return {n: t for n, t in network.state_dict().items() if n.startswith(prefixes)}


def put_weights(network: nn.Module, names: Sequence[str], weights: Mapping[str, Tensor]) -> bool:
    """Loads weights of these names; false, and nothing done, if tensors or shapes differ."""
    own = weights_of(network, names)
    if {n: t.shape for n, t in weights.items()} != {n: t.shape for n, t in own.items()}:
        return False
    network.load_state_dict(weights, strict=False)  # the others stay as they are
    return True
