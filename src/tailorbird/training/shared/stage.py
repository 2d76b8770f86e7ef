"""Files of finished weights, each with the identity of what it was made with."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tailorbird.spaces.preprocessing import Preprocessing
from tailorbird.storage.tensors import is_of, write
from tailorbird.training.checkpoint import Checkpoint, put_weights, weights_of
from tailorbird.training.ranks import ALONE, Ranks
from tailorbird.training.shared.network import SharedNetwork


@dataclass(frozen=True, slots=True)
class Stage:
    """File of weights of some names, written when a stage of training is done.

    Attributes:
        path: of the file.
        identity: text of all that decides the weights.
        names: of the weights that it holds.
        preprocessing: of the images that they are good for; None if nobody says.
        ranks: that train together, of which the first has the file.
    """

    path: Path
    identity: str
    names: Sequence[str]
    preprocessing: Preprocessing | None = None
    ranks: Ranks = ALONE

    @property
    def checkpoint(self) -> Checkpoint:
        """Checkpoint of the stage, while it is not done."""
        path = self.path.with_suffix(".checkpoint.safetensors")
        return Checkpoint(path, self.identity, self.names, self.ranks)

    def is_made(self) -> bool:
        """True if the file says that it holds these weights; reads its header only."""
        return self.ranks.agreed(lambda: is_of(self.path, self.identity))

    def load(self, network: SharedNetwork) -> bool:
        """Loads the weights; false if there are none, others, or not all."""
        content = self.ranks.read(self.path, self.identity)
        if content is None:
            return False
        weights, _ = content
        return put_weights(network, self.names, weights)

    def save(self, network: SharedNetwork) -> None:
        """Writes the weights, whole or not at all, and deletes the checkpoint.

        Raises:
            WriteError: if they cannot be written.
        """
        if not self.ranks.is_first:
            return
        metadata = {"identity": self.identity}
        if self.preprocessing is not None:
            metadata["preprocessing"] = self.preprocessing.to_json()
        write(self.path, weights_of(network, self.names), metadata)
        self.checkpoint.remove()
