"""Checkpoints, from which interrupted training goes on to the same result."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn, optim

from tailorbird.storage.tensors import read, write


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A file with weights and the state of their optimizer after so many steps.

    Attributes:
        path: of the file.
        identity: text of all that decides the result; a checkpoint of another is not loaded.
        names: of the weights that are trained; no others are saved or touched.
    """

    path: Path
    identity: str
    names: Sequence[str]

    def save(
        self, network: nn.Module, optimizer: optim.Optimizer, step: int, counts: Mapping[str, int]
    ) -> None:
        """Writes weights, optimizer, step and updates by part, whole or not at all.

        Raises:
            WriteError: if it cannot be written.
        """
        state = optimizer.state_dict()
        tensors = {f"network.{name}": t for name, t in weights_of(network, self.names).items()}
        for number, values in state["state"].items():
            tensors |= {f"optimizer.{number}.{name}": t for name, t in values.items()}
        metadata = {
            "identity": self.identity,
            "step": str(step),
            "groups": json.dumps(state["param_groups"]),
            "updates": json.dumps(dict(counts)),
        }
        write(self.path, tensors, metadata)

    def load(self, network: nn.Module, optimizer: optim.Optimizer, counts: dict[str, int]) -> int:
        """Restores weights, optimizer and updates by part.

        Returns:
            How many steps were done; 0 if there is no file.
        """
        content = read(self.path, self.identity)
        if content is None:
            return 0
        tensors, metadata = content
        states: dict[int, dict[str, Tensor]] = {}
        weights: dict[str, Tensor] = {}
        for name, tensor in tensors.items():
            kind, _, rest = name.partition(".")
            if kind == "network":
                weights[rest] = tensor
            else:
                number, _, value = rest.partition(".")
                states.setdefault(int(number), {})[value] = tensor
        if not put_weights(network, self.names, weights):
            return 0
        groups = json.loads(metadata["groups"])
        optimizer.load_state_dict({"state": states, "param_groups": groups})
        counts |= json.loads(metadata.get("updates", "{}"))
        return int(metadata["step"])

    def remove(self) -> None:
        """Deletes the file; call once the finished weights are saved."""
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
