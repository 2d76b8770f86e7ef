"""Anchors whose modules learn one at a time, inside the smallest anchor."""

from collections.abc import Iterator
from itertools import accumulate, pairwise

import numpy as np
from torch import Tensor

from tailorbird.progress import Advance
from tailorbird.spaces import Piece
from tailorbird.spaces.stitching import Part, StitchSpace
from tailorbird.spaces.stitching.family import Family
from tailorbird.training.data.dataset import Dataset
from tailorbird.training.distillation import smoothed
from tailorbird.training.shared.network import SharedNetwork
from tailorbird.training.shared.stage import Stage
from tailorbird.training.stitching.linked_anchors import LinkedAnchors
from tailorbird.training.stitching.settings import Training

_FEWEST = 4
"""Modules of an anchor, if it has as many blocks."""


def module_epochs(settings: Training) -> int:
    """Epochs of `train_epochs` in which modules learn: half of them."""
    return settings.train_epochs // 2


def train_modules(
    space: StitchSpace,
    network: SharedNetwork,
    dataset: Dataset,
    settings: Training,
    anchor: int,
    stage: Stage,
    advance: Advance,
) -> None:
    """Trains the modules of an anchor, each in the place of its like in the smallest anchor.

    A step is about one module, which is drawn: blocks of the smallest anchor run before and after
    it, which stay as they are, and linear maps between them learn as well. Assembled, the modules
    are the anchor.

    Args:
        space: of stitched networks, whose family has the anchor.
        network: whose smallest anchor is trained; the anchor is changed in place.
        dataset: its training split is used.
        settings: of training.
        anchor: its number, not that of the smallest.
        stage: of its modules, which are loaded if they are there.
        advance: called after each epoch.

    Raises:
        TrainingError: if training diverges.

    References:
        Ni et al.: Deep Model Assembling. 2022.
    """
    if stage.load(network):
        return
    cuts = [*zip(_cuts(space.family, 0), _cuts(space.family, anchor), strict=True)]
    up = [(0, a - 1, anchor, b) for a, b in cuts]
    down = [(anchor, b - 1, 0, a) for a, b in cuts]
    linked = LinkedAnchors.of(space, network, (*up, *down), settings)
    routes = [*_routes(linked.space, anchor, cuts)]
    loss = smoothed(settings.optimization.label_smoothing)

    def losses(step: int, x: Tensor, labels: Tensor) -> Iterator[Tensor]:
        rng = np.random.default_rng([settings.seed, 3, step])
        yield loss(linked.network(x, routes[int(rng.integers(len(routes)))]), labels, x)

    epochs = module_epochs(settings)
    linked.learn(anchor, losses, epochs, dataset, stage.checkpoint, advance)
    linked.put(anchor, network)
    stage.save(network)


def _cuts(family: Family, anchor: int) -> list[int]:
    """Numbers of the blocks that modules begin with, but for the first one.

    Modules are stages, each of them in as many parts as there must be for four modules.
    """
    fewest = [min(depths) for depths in zip(*family.stages, strict=True)]
    parts = [min(least, -(-_FEWEST // len(fewest))) for least in fewest]
    begins, cuts = [0, *accumulate(family.stages[anchor])], []
    for begin, depth, n in zip(begins, family.stages[anchor], parts, strict=False):
        cuts += [begin + round(depth * i / n) for i in range(n)]
    return cuts[1:]


def _routes(
    space: StitchSpace, anchor: int, cuts: list[tuple[int, int]]
) -> Iterator[tuple[Piece, ...]]:
    """Routes through one module of an anchor each, and otherwise through the smallest one."""
    places = {(s.source, s.leave): s.part for s in space.stitches}
    ends = [(0, 0), *cuts, (space.depths[0], space.depths[anchor])]
    for (a, b), (c, d) in pairwise(ends):
        first, last = 0 if a else anchor, 0 if c < space.depths[0] else anchor
        parts = [Part("embedding", first), *(Part("block", 0, i) for i in range(a))]
        if first == 0:
            parts.append(places[0, a - 1])
        parts += [Part("block", anchor, i) for i in range(b, d)]
        if last == 0:
            parts.append(places[anchor, d - 1])
            parts += [Part("block", 0, i) for i in range(c, space.depths[0])]
        yield tuple(map(space.piece, (*parts, Part("head", last))))
