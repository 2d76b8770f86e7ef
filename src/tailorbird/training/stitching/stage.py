"""Files of weights that know what they were made with."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from tailorbird.spaces.stitching import Part
from tailorbird.storage.tensors import is_of, read, write
from tailorbird.training.checkpoint import Checkpoint
from tailorbird.training.stitching.network import StitchedNetwork


@dataclass(frozen=True, slots=True)
class Stage:
    """The weights of some parts, when a stage of training is done.

    Attributes:
        path: of the file.
        identity: text of all that decides the weights.
        parts: whose weights it holds.
    """

    path: Path
    identity: str
    parts: Sequence[Part]

    @property
    def checkpoint(self) -> Checkpoint:
        """On the way there."""
        return Checkpoint(
            self.path.with_suffix(".checkpoint.safetensors"), self.identity, self.parts
        )

    @property
    def is_made(self) -> bool:
        """Whether the file says that it holds these weights."""
        return is_of(self.path, self.identity)

    def load(self, network: StitchedNetwork) -> bool:
        """Puts the weights in place; false if there are none, others, or not all."""
        found = read(self.path, self.identity)
        if found is None:
            return False
        weights, _ = found
        own = self._weights(network)
        if {n: t.shape for n, t in weights.items()} != {n: t.shape for n, t in own.items()}:
            return False
        network.load_state_dict(weights, strict=False)  # the other parts stay as they are
        return True

    def save(self, network: StitchedNetwork) -> None:
        """Writes the weights, whole or not at all; the checkpoint has done its duty.

        Raises:
            WriteError: if they cannot be written.
        """
        write(self.path, self._weights(network), {"identity": self.identity})
        self.checkpoint.remove()

    def _weights(self, network: StitchedNetwork) -> dict[str, Tensor]:
        prefixes = tuple(f"parts.{part}." for part in self.parts)
        state = network.state_dict()
        return {name: state[name] for name in state if name.startswith(prefixes)}
