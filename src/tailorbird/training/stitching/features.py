"""Stitching layers that learn, alone, what the anchor they enter sees before its head."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from tailorbird.progress import Advance
from tailorbird.registry.python_paths import check_named
from tailorbird.spaces.stitching import StitchSpace
from tailorbird.training.data.dataset import Dataset
from tailorbird.training.fit import Schedule, fit
from tailorbird.training.shared.learning import groups_of, logged
from tailorbird.training.shared.network import SharedNetwork
from tailorbird.training.shared.stage import Stage
from tailorbird.training.shared.trained import Trained
from tailorbird.training.stitching.relative_error import relative_error
from tailorbird.training.stitching.settings import Training


def feature_epochs(settings: Training) -> int:
    """Epochs of `stitch_epochs` in which stitching layers learn features: a fifth of them.

    Raises:
        ContractError: if nothing has the name of what they learn.
    """
    check_named(settings.stitch_loss, ("task", "features"), "loss of stitching layers")
    return settings.stitch_epochs // 5 if settings.stitch_loss == "features" else 0


def learn_features(
    space: StitchSpace,
    network: SharedNetwork,
    dataset: Dataset,
    settings: Training,
    stage: Stage,
    advance: Advance,
) -> None:
    """Trains stitching layers, each in the network that crosses it alone; anchors stay as they are.

    What such a network has before its head comes near to what the anchor that it enters has there,
    as means over positions. Least squares fits where a layer stands, and says little of what
    becomes of its errors in the blocks behind; where layers are far from the head, these are many.

    Args:
        space: of the stitched networks.
        network: with trained anchors, and stitching layers by least squares; changed in place.
        dataset: its training split is used.
        settings: of training.
        stage: of the stitching layers, which are loaded if they are there.
        advance: called after each epoch.

    Raises:
        TrainingError: if training diverges.

    References:
        Mai et al.: Revisiting Model Stitching in the Foundation Model Era. CVPR 2026.
    """
    epochs = feature_epochs(settings)
    if not (space.stitches and epochs) or stage.load(network):
        return
    routes = [space.route(row)[:-1] for row in space.crossings]
    trained = Trained(space, network, dataset.train, compute=settings.compute)
    targets = _targets(space, trained, settings.compute.torch_device)

    def losses(step: int, x: Tensor, labels: Tensor) -> Iterator[Tensor]:
        rng = np.random.default_rng([settings.seed, 2, step])
        number = int(rng.integers(len(routes)))
        with torch.no_grad():
            wanted = targets[space.stitches[number].target](x)
        found = network(x, routes[number])
        yield relative_error(_over_positions(found), _over_positions(wanted))

    stitches = [space.piece(stitch.part) for stitch in space.stitches]
    state = network.state_dict()
    before = {n: t.clone() for n, t in state.items() if not n.startswith("parts.stitch")}
    fit(
        network,
        groups_of(network, stitches, settings.shared),
        losses,
        dataset,
        Schedule(epochs, settings.batch, settings.seed),
        settings.optimization,
        settings.compute,
        stage.checkpoint,
        logged(advance, "stitches"),
    )
    network.load_state_dict(before, strict=False)  # statistics of norms have moved
    stage.save(network)


def _targets(
    space: StitchSpace, trained: Trained, device: torch.device
) -> dict[int, nn.Sequential]:
    """Anchors that stitches enter, without their heads, by number."""
    return {
        target: trained.extract(space.landmarks[target])[:-1].to(device)
        for target in {stitch.target for stitch in space.stitches}
    }


def _over_positions(x: Tensor) -> Tensor:
    """Means (n, channels) of maps, or of tokens."""
    return x.mean((2, 3)) if x.ndim == 4 else x.mean(1)
