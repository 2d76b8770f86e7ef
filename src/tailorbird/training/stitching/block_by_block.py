"""Anchors that learn from a larger one block by block."""

from collections.abc import Iterator
from itertools import accumulate

import torch
import torch.nn.functional as F
from torch import Tensor

from tailorbird.errors import ContractError
from tailorbird.progress import Advance
from tailorbird.spaces.stitching import Places, StitchSpace
from tailorbird.spaces.stitching.family import Family, blocks_of
from tailorbird.spaces.stitching.places import Place
from tailorbird.training.checkpoint import Checkpoint
from tailorbird.training.data.dataset import Dataset
from tailorbird.training.distillation import smoothed
from tailorbird.training.shared.network import SharedNetwork
from tailorbird.training.shared.trained import Trained
from tailorbird.training.stitching.linked_anchors import LinkedAnchors
from tailorbird.training.stitching.relative_error import relative_error
from tailorbird.training.stitching.settings import Training


def train_block_by_block(
    space: StitchSpace,
    network: SharedNetwork,
    dataset: Dataset,
    settings: Training,
    anchor: int,
    checkpoint: Checkpoint,
    advance: Advance,
) -> None:
    """Trains an anchor to have after each block, but for a linear map, what the largest has there.

    Blocks meet where both have done the same share of a stage. Linear maps learn as well, and are
    given up. Half of the rest of the loss are the labels, the other half the largest one's answers.

    Args:
        space: of stitched networks, whose family has the anchor.
        network: whose largest anchor is trained; the anchor is changed in place.
        dataset: its training split is used.
        settings: of training.
        anchor: its number, not that of the largest.
        checkpoint: of the anchor.
        advance: called after each epoch.

    Raises:
        TrainingError: if training diverges.

    References:
        Shi, Yang, Xia, Geng: Building Variable-sized Models via Learngene Pool. AAAI 2024.
    """
    largest = len(space.family.anchors) - 1
    places = _meetings(space.family, anchor, largest)
    linked = LinkedAnchors.of(space, network, places, settings)
    trained = Trained(space, network, dataset.train, compute=settings.compute)
    teacher = trained.extract(space.landmarks[largest]).to(settings.compute.torch_device)
    of_labels = smoothed(settings.optimization.label_smoothing)
    route, stitches = linked.anchor(anchor), [*zip(linked.space.stitches, linked.maps, strict=True)]

    def losses(step: int, x: Tensor, labels: Tensor) -> Iterator[Tensor]:
        with torch.no_grad():
            *wanted, answers = accumulate(teacher, lambda y, module: module(y), initial=x)
        *found, logits = linked.network.states(x, route)
        # Before both stand the inputs of first blocks, and before those of the teacher the images.
        errors = [
            relative_error(linked.network.run(p, found[s.leave + 1]), wanted[s.enter + 1])
            for s, p in stitches
        ]
        taught = of_labels(logits, labels, x) + F.cross_entropy(logits, answers.softmax(dim=1))
        yield taught / 2 + (torch.stack(errors).mean() if errors else 0.0)

    linked.learn(anchor, losses, settings.train_epochs, dataset, checkpoint, advance)
    linked.put(anchor, network)


def check_meetings(space: StitchSpace) -> None:
    """Refuses anchors that cannot learn from the largest, since their grids differ.

    Raises:
        ContractError: naming the first one.
    """
    *smaller, largest = range(len(space.family.anchors))
    for anchor in smaller:
        try:
            StitchSpace(
                space.family, Places(_meetings(space.family, anchor, largest)), max_stitches=1
            )
        except ValueError as error:
            raise ContractError(
                f"Anchors learn from the largest where both have equal grids. {error} Drop "
                'anchors_from = "largest", so that labels alone teach them.'
            ) from None


def _meetings(family: Family, anchor: int, larger: int) -> tuple[Place, ...]:
    """Where both have done the same share of a stage, after each block of the smaller anchor."""
    depths, larger_depths = family.stages[anchor], family.stages[larger]
    begins = [0, *accumulate(larger_depths)]
    places = []
    for number, (stage, i) in enumerate(blocks_of(family, anchor)):
        done = max(1, round((i + 1) * larger_depths[stage] / depths[stage]))
        if begins[stage] + done < begins[-1]:  # else the heads meet
            places.append((anchor, number, larger, begins[stage] + done))
    return tuple(places)
