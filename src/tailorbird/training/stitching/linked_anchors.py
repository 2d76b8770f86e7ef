"""Anchors that linear maps link at places of their own, while one of them learns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from tailorbird.progress import Advance
from tailorbird.spaces import Piece
from tailorbird.spaces.stitching import Places, StitchSpace
from tailorbird.spaces.stitching.places import Place
from tailorbird.training.checkpoint import Checkpoint, put_weights, weights_of
from tailorbird.training.data.dataset import Dataset
from tailorbird.training.fit import Losses, Schedule, fit
from tailorbird.training.shared.learning import groups_of, logged
from tailorbird.training.shared.network import SharedNetwork, fresh
from tailorbird.training.stitching.settings import Training

_STITCHES = "parts.stitch"


@dataclass(frozen=True, slots=True)
class LinkedAnchors:
    """Anchors with maps between them, which are given up once the anchor has learned.

    Attributes:
        space: of the anchors, whose stitches are the maps.
        network: its weights; those of the anchors are copies.
        settings: of training.
    """

    space: StitchSpace
    network: SharedNetwork
    settings: Training

    @classmethod
    def of(
        cls,
        space: StitchSpace,
        network: SharedNetwork,
        places: Sequence[Place],
        settings: Training,
    ) -> Self:
        """Links the anchors of a network at some places.

        Raises:
            ValueError: if blocks work on different grids there.
        """
        linked = StitchSpace(space.family, Places(tuple(places)), max_stitches=1)
        own = fresh(linked, settings.seed)
        anchors = {n: v for n, v in network.state_dict().items() if not n.startswith(_STITCHES)}
        own.load_state_dict(anchors, strict=False)
        return cls(linked, own.to(settings.compute.torch_device), settings)

    @property
    def maps(self) -> tuple[Piece, ...]:
        """Maps, in the order of the space's stitches."""
        return tuple(self.space.piece(stitch.part) for stitch in self.space.stitches)

    def anchor(self, number: int) -> tuple[Piece, ...]:
        """Pieces of an anchor."""
        return self.space.route(self.space.landmarks[number])

    def learn(
        self,
        number: int,
        losses: Losses,
        epochs: int,
        dataset: Dataset,
        checkpoint: Checkpoint,
        advance: Advance,
    ) -> None:
        """Trains one anchor and all maps; other anchors stay as they are.

        Args:
            number: of the anchor.
            losses: of a step.
            epochs: passes over the training images.
            dataset: that has them.
            checkpoint: of the anchor and the maps.
            advance: called after each epoch.

        Raises:
            TrainingError: if training diverges.
        """
        settings, pieces = self.settings, (*self.anchor(number), *self.maps)
        with self.network.dropping(settings.optimization.drop_path):
            fit(
                self.network,
                groups_of(self.network, pieces, settings.learning_rates),
                losses,
                dataset,
                Schedule(epochs, settings.batch, settings.seed),
                settings.optimization,
                settings.compute,
                Checkpoint(
                    checkpoint.path,
                    checkpoint.identity,
                    [*dict.fromkeys(piece.weights for piece in pieces)],
                    checkpoint.ranks,
                ),
                logged(advance, f"anchor {self.space.family.anchors[number]}"),
            )

    def put(self, number: int, network: SharedNetwork) -> None:
        """Puts an anchor's weights back into the network that it is of."""
        names = [piece.weights for piece in self.anchor(number)]
        put_weights(network, names, weights_of(self.network, names))
