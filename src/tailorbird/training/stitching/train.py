"""Training a stitch space: anchors one by one, then all routes together."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from tailorbird.errors import WeightsError
from tailorbird.progress import Advance, Progress
from tailorbird.spaces.footprint import count_macs
from tailorbird.spaces.stitching import Pretrained, StitchSpace
from tailorbird.spaces.stitching.order import check_order
from tailorbird.training.checkpoint import Checkpoint
from tailorbird.training.data.dataset import Dataset
from tailorbird.training.distillation import loss_of, smoothed
from tailorbird.training.fit import Schedule, fit
from tailorbird.training.score import Score, accuracy
from tailorbird.training.shared.fitting_data import check_classes_fit, check_images_fit
from tailorbird.training.shared.learning import groups_of, identity, logged, tell_updates
from tailorbird.training.shared.network import SharedNetwork, fresh
from tailorbird.training.shared.route_sampling import Draw, check_routes_per_step, draw_of
from tailorbird.training.shared.stage import Stage
from tailorbird.training.shared.trained import Trained
from tailorbird.training.stitching import anchors, low_rank
from tailorbird.training.stitching.assembling import module_epochs, train_modules
from tailorbird.training.stitching.block_by_block import train_block_by_block
from tailorbird.training.stitching.features import feature_epochs, learn_features
from tailorbird.training.stitching.least_squares import initialise_stitches
from tailorbird.training.stitching.origins import decided_by, origin_of, stays
from tailorbird.training.stitching.route_sampling import with_share_of_anchors
from tailorbird.training.stitching.settings import RULES, Training


def load(
    space: StitchSpace,
    dataset: Dataset,
    settings: Training,
    folder: Path,
    score: Score = accuracy,
) -> Trained | None:
    """Loads what `train` made with the same arguments; None if there is no such thing."""
    network = fresh(space, settings.seed)
    if not _stitched(space, dataset, settings, folder).load(network):
        return None
    return Trained(space, network, dataset.train, score, settings.compute)


def is_trained(space: StitchSpace, dataset: Dataset, settings: Training, folder: Path) -> bool:
    """True if there are weights of these arguments, whole or not; builds no network.

    Raises:
        WeightsError: if the weights of an anchor cannot be read.
    """
    return _stitched(space, dataset, settings, folder).is_made()


def train(
    space: StitchSpace,
    dataset: Dataset,
    settings: Training,
    folder: Path,
    progress: Progress,
    *,
    teacher: nn.Module | None = None,
    score: Score = accuracy,
) -> Trained:
    """Trains anchors, joins them by least squares, and fine-tunes all routes together.

    Each stage is saved as safetensors when it is done, and loaded instead of trained if it was
    made with the same settings; a stage that was interrupted goes on from its checkpoint.

    Args:
        space: of stitched networks.
        dataset: its training split is used.
        settings: epochs, seed and the rest.
        folder: for the stages.
        progress: counts epochs.
        teacher: gives logits for images; the largest anchor as it was alone if None.
        score: what `Trained.evaluate` gives.

    Raises:
        ContractError: if data and space do not fit, anchors are not ordered by size, or settings
            ask for routes or a warm-up that cannot be.
        WeightsError: if weights that anchors start with do not fit.
        TrainingError: if training diverges.
    """
    trained = load(space, dataset, settings, folder, score)
    if trained is not None:
        return trained
    check(space, dataset)
    draw = _draw_of(space, settings)
    for epochs in (settings.train_epochs, settings.stitch_epochs):
        settings.optimization.check_warm_up(epochs)
    device = settings.compute.torch_device
    network = fresh(space, settings.seed).to(device)
    together = _stitched(space, dataset, settings, folder)
    todo = _untrained(space, network, dataset, settings, folder)
    epochs = len(todo) * settings.train_epochs + settings.stitch_epochs
    drop_path = settings.optimization.drop_path
    with progress.task("Training", epochs) as advance, network.dropping(drop_path):
        _train_anchors(space, network, dataset, settings, todo, advance)
        initialise_stitches(space, network, dataset.train, settings.stitch_images)
        if teacher is None:
            largest = Trained(space, network, dataset.train, compute=settings.compute)
            teacher = largest.extract(space.landmarks[-1])
        teacher = teacher.to(device)
        learn_features(
            space, network, dataset, settings, _features(space, dataset, settings, folder), advance
        )
        _train_routes(
            space, network, dataset, settings, draw, teacher, together.checkpoint, advance
        )
    together.save(network)
    return Trained(space, network, dataset.train, score, settings.compute)


def trained_anchors(
    space: StitchSpace, dataset: Dataset, settings: Training, folder: Path, progress: Progress
) -> SharedNetwork:
    """Trains anchors alone, as `train` begins, or loads them; its stitching layers are fresh.

    Raises:
        ContractError: if data and space do not fit, or anchors are not ordered by size.
        WeightsError: if weights that anchors start with do not fit.
        TrainingError: if training diverges.
    """
    check(space, dataset)
    settings.optimization.check_warm_up(settings.train_epochs)
    network = fresh(space, settings.seed).to(settings.compute.torch_device)
    todo = _untrained(space, network, dataset, settings, folder)
    drop_path, epochs = settings.optimization.drop_path, len(todo) * settings.train_epochs
    with progress.task("Training", epochs) as advance, network.dropping(drop_path):
        _train_anchors(space, network, dataset, settings, todo, advance)
    return network


def load_anchors(
    space: StitchSpace,
    dataset: Dataset,
    settings: Training,
    folder: Path,
    score: Score = accuracy,
) -> Trained | None:
    """Loads anchors as they were alone, before `train` joined them; None if they are not there."""
    network = fresh(space, settings.seed)
    if _untrained(space, network, dataset, settings, folder):
        return None
    return Trained(space, network, dataset.train, score, settings.compute)


def _untrained(
    space: StitchSpace, network: SharedNetwork, dataset: Dataset, settings: Training, folder: Path
) -> dict[int, Stage]:
    """Loads anchors that were trained; stages of the others."""
    alone = [_anchor(space, dataset, settings, folder, a) for a in range(len(space.family.anchors))]
    return {a: stage for a, stage in enumerate(alone) if not stage.load(network)}


def _train_anchors(
    space: StitchSpace,
    network: SharedNetwork,
    dataset: Dataset,
    settings: Training,
    todo: Mapping[int, Stage],
    advance: Advance,
) -> None:
    """Trains anchors one by one, and saves each."""
    order = sorted(todo, reverse=settings.anchors_from == "largest")  # first what others learn from
    for a in order:
        _train_anchor(space, network, dataset, settings, a, todo[a], advance)
        todo[a].save(network)


def _train_anchor(
    space: StitchSpace,
    network: SharedNetwork,
    dataset: Dataset,
    settings: Training,
    anchor: int,
    stage: Stage,
    advance: Advance,
) -> None:
    """Trains one anchor alone, from its file of weights if settings name one, or from others."""
    placement = _place(space, settings, network, anchor)
    if placement and not placement.new_head and stays(space.family, settings, anchor):
        return
    epochs, is_derived = (
        settings.train_epochs,
        origin_of(space.family, settings, anchor) is not None,
    )
    if is_derived and settings.anchors_from == "largest":
        train_block_by_block(space, network, dataset, settings, anchor, stage.checkpoint, advance)
        return
    if is_derived:
        modules = replace(stage, path=stage.path.with_name(f"modules-{stage.path.name}"))
        train_modules(space, network, dataset, settings, anchor, modules, advance)
        epochs -= module_epochs(settings)
    route = space.route(space.landmarks[anchor])
    loss = smoothed(settings.optimization.label_smoothing)
    fit(
        network,
        groups_of(network, route, settings.learning_rates),
        lambda step, x, labels: (loss(network(x, route), labels, x),),
        dataset,
        Schedule(epochs, settings.batch, settings.seed),
        settings.optimization,
        settings.compute,
        stage.checkpoint,
        logged(advance, f"anchor {space.family.anchors[anchor]}"),
    )


def _train_routes(
    space: StitchSpace,
    network: SharedNetwork,
    dataset: Dataset,
    settings: Training,
    draw: Draw,
    teacher: nn.Module,
    checkpoint: Checkpoint,
    advance: Advance,
) -> None:
    """Fine-tunes all parts together, along the route that is drawn for each step."""
    stitches = [m for _, m in network.named_layers("stitch")]
    if settings.stitch_rank is not None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            low_rank.freeze(stitches, settings.stitch_rank)
    optimization, n_routes = settings.optimization, settings.routes_per_step
    loss = loss_of(settings.distillation, teacher, optimization.label_smoothing)

    def losses(step: int, x: Tensor, labels: Tensor) -> Iterator[Tensor]:
        rng = np.random.default_rng([settings.seed, step, *settings.compute.ranks.own_draw])
        for _ in range(n_routes):
            yield loss(network(x, space.route(draw(rng))), labels, x)

    updates = fit(
        network,
        groups_of(network, space.pieces, settings.shared),
        losses,
        dataset,
        Schedule(
            settings.stitch_epochs - feature_epochs(settings),
            settings.batch,
            settings.seed,
            n_routes,
        ),
        optimization,
        settings.compute,
        checkpoint,
        logged(advance, "all routes"),
    )
    tell_updates(f"all routes of {space.name}", updates, "stitch_epochs")
    if settings.stitch_rank is not None:
        low_rank.merge(stitches)


def _draw_of(space: StitchSpace, settings: Training) -> Draw:
    """How the routes of all steps are drawn.

    Raises:
        ContractError: if they cannot be drawn so.
    """
    check_routes_per_step(settings.routes_per_step)
    draw = draw_of(settings.routes, space, settings.seed)
    if settings.share_of_anchors is None:
        return draw
    return with_share_of_anchors(draw, space, settings.share_of_anchors)


def check(space: StitchSpace, dataset: Dataset) -> None:
    """Refuses data that do not fit a space.

    Raises:
        ContractError: if shapes or classes differ, or the space's anchors do not grow.
    """
    check_order(space.family, count_macs(space, space.landmarks))
    check_images_fit(space, dataset)
    check_classes_fit(space.family.name, space.family.n_classes, dataset)


def placed(
    space: StitchSpace, seed: int, files: Mapping[str, Path], keys: Mapping[str, str]
) -> tuple[SharedNetwork, dict[str, anchors.Placement]]:
    """A network that starts from files of weights, and what became of each file, by anchor.

    Args:
        space: whose family has a method `place`, if there are files.
        seed: of the weights that no file holds.
        files: by anchor.
        keys: where in the files the weights lie, by anchor; found out where not given.

    Raises:
        WeightsError: if they do not fit.
    """
    network = fresh(space, seed)
    family = cast(Pretrained, space.family)
    return network, {
        name: anchors.place(network, family, a, files[name], keys.get(name))
        for a, name in enumerate(family.anchors)
        if name in files
    }


def check_heads(placements: Mapping[str, anchors.Placement], settings: Training) -> None:
    """Refuses settings that would leave a randomly drawn head untrained.

    Raises:
        WeightsError: naming the setting.
    """
    head = settings.learning_rates.get("head", 0.0)
    for name, placement in placements.items():
        for law, value in (
            ("train_epochs", settings.train_epochs),
            ("learning_rates.head", head),
        ):
            if placement.new_head and not value:
                raise WeightsError(
                    f"`{law}` must be above 0, since the head of {name} is drawn anew "
                    f"({placement.new_head}), but it is 0. Leave it out, or name weights with "
                    "a head for the classes of the space."
                )


def _place(
    space: StitchSpace, settings: Training, network: SharedNetwork, anchor: int
) -> anchors.Placement | None:
    """Puts an anchor's file of weights into a network; None if there is none."""
    name = space.family.anchors[anchor]
    if name not in settings.anchors:
        return None
    # The protocol is that of the weights' names; a family without it was refused.
    family = cast(Pretrained, space.family)
    path, key = settings.anchors[name], settings.keys.get(name)
    placement = anchors.place(network, family, anchor, path, key)
    check_heads({name: placement}, settings)
    return placement


def _anchor(
    space: StitchSpace, dataset: Dataset, settings: Training, folder: Path, anchor: int
) -> Stage:
    name = space.family.anchors[anchor]
    decides = decided_by(space.family, settings, anchor)
    made_with = identity(RULES, space.family.name, dataset, settings.batch, decides)
    weights = [str(part) for part in space.parts_of(space.landmarks[anchor])]
    return Stage(
        folder / f"anchor-{name}.safetensors",
        made_with,
        weights,
        dataset.preprocessing,
        settings.compute.ranks,
    )


def _stitched(space: StitchSpace, dataset: Dataset, settings: Training, folder: Path) -> Stage:
    alone = [settings.alone(name) for name in space.family.anchors]
    decides = {"alone": alone, **settings.together()}
    made_with = identity(RULES, space.name, dataset, settings.batch, decides)
    path, names = folder / "stitched.safetensors", [*map(str, space.parts)]
    return Stage(path, made_with, names, dataset.preprocessing, settings.compute.ranks)


def _features(space: StitchSpace, dataset: Dataset, settings: Training, folder: Path) -> Stage:
    """Stage of stitching layers alone, before all routes learn together."""
    whole = _stitched(space, dataset, settings, folder)
    names = [str(stitch.part) for stitch in space.stitches]
    return replace(whole, path=folder / "stitches.safetensors", names=[*dict.fromkeys(names)])
