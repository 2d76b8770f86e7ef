"""Training that was interrupted goes on where it was, to the same result."""

import json
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn, optim


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A file with weights and the state of their optimizer after so many steps.

    Attributes:
        path: of the file.
        identity: text of what decides the result; another one's checkpoint is not taken up.
    """

    path: Path
    identity: str

    def save(self, network: nn.Module, optimizer: optim.Optimizer, step: int) -> None:
        """Writes all of it, whole or not at all."""
        state = optimizer.state_dict()
        tensors = {f"network.{name}": t for name, t in network.state_dict().items()}
        for number, values in state["state"].items():
            tensors |= {f"optimizer.{number}.{name}": t for name, t in values.items()}
        metadata = {
            "identity": self.identity,
            "step": str(step),
            "groups": json.dumps(state["param_groups"]),
        }
        new = self.path.with_suffix(".new")
        save_file({n: t.contiguous() for n, t in tensors.items()}, new, metadata=metadata)
        new.replace(self.path)

    def load(self, network: nn.Module, optimizer: optim.Optimizer) -> int:
        """Puts all of it in place, and returns the number of steps; 0 if there is nothing."""
        try:
            with safe_open(self.path, framework="pt") as file:
                metadata = file.metadata() or {}
                if metadata.get("identity") != self.identity:
                    return 0
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (OSError, SafetensorError):
            return 0
        states: dict[int, dict[str, Tensor]] = {}
        weights: dict[str, Tensor] = {}
        for name, tensor in tensors.items():
            kind, _, rest = name.partition(".")
            if kind == "network":
                weights[rest] = tensor
            else:
                number, _, value = rest.partition(".")
                states.setdefault(int(number), {})[value] = tensor
        network.load_state_dict(weights)
        groups = json.loads(metadata["groups"])
        optimizer.load_state_dict({"state": states, "param_groups": groups})
        return int(metadata["step"])

    def remove(self) -> None:
        """When what it led to is kept elsewhere."""
        self.path.unlink(missing_ok=True)
