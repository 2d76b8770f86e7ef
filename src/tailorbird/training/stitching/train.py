"""Training a stitch space: anchors one by one, then all routes together."""

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import torch
from torch import nn

from tailorbird.errors import ContractError, WeightsError
from tailorbird.progress import Advance, Progress
from tailorbird.spaces.footprint import count_macs
from tailorbird.spaces.stitching import Part, Pretrained, StitchSpace
from tailorbird.spaces.stitching.order import check_order
from tailorbird.training import distillation
from tailorbird.training.checkpoint import Checkpoint
from tailorbird.training.data.dataset import SPLITS, Dataset
from tailorbird.training.distillation import Loss
from tailorbird.training.fit import Schedule, fit
from tailorbird.training.score import Score, accuracy
from tailorbird.training.stitching import anchors, low_rank, route_sampling
from tailorbird.training.stitching.least_squares import initialise_stitches
from tailorbird.training.stitching.network import StitchedNetwork
from tailorbird.training.stitching.settings import RULES, Training
from tailorbird.training.stitching.stage import Stage
from tailorbird.training.stitching.trained import Trained

_LOG = logging.getLogger("tailorbird")
_DRAWS = {
    "stitches": route_sampling.by_stitches,
    "uniform": route_sampling.uniform,
    "resources": route_sampling.by_resources,
}


def load(
    space: StitchSpace,
    dataset: Dataset,
    settings: Training,
    folder: Path,
    score: Score = accuracy,
) -> Trained | None:
    """Loads what `train` made with the same arguments; None if there is no such thing."""
    network = _fresh(space, settings.seed)
    if not _stitched(space, dataset, settings, folder).load(network):
        return None
    return Trained(space, network, dataset.train, score)


def is_trained(space: StitchSpace, dataset: Dataset, settings: Training, folder: Path) -> bool:
    """True if there are weights of these arguments, whole or not; builds no network.

    Raises:
        WeightsError: if the weights of an anchor cannot be read.
    """
    return _stitched(space, dataset, settings, folder).is_made()


def loss_of(settings: Training, teacher: nn.Module) -> Loss:
    """Loss that all routes are trained with together."""
    by_name = {
        "none": lambda teacher: distillation.labels_only,
        "soft": distillation.soft,
        "hard": distillation.hard,
    }
    return by_name[settings.distillation](teacher.eval())


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
        ContractError: if data and space do not fit, or anchors are not ordered by size.
        WeightsError: if weights that anchors start with do not fit.
        TrainingError: if training diverges.
    """
    trained = load(space, dataset, settings, folder, score)
    if trained is not None:
        return trained
    check(space, dataset)
    network = _fresh(space, settings.seed)
    folder.mkdir(parents=True, exist_ok=True)
    n_anchors = len(space.family.anchors)
    alone = [_anchor(space, dataset, settings, folder, a) for a in range(n_anchors)]
    together = _stitched(space, dataset, settings, folder)
    todo = [a for a, stage in enumerate(alone) if not stage.load(network)]
    epochs = len(todo) * settings.train_epochs + settings.stitch_epochs
    with progress.task("Training", epochs) as advance:
        for a in todo:
            _train_anchor(space, network, dataset, settings, a, alone[a].checkpoint, advance)
            alone[a].save(network)
        initialise_stitches(space, network, dataset.train, settings.stitch_images)
        if teacher is None:
            largest = Trained(space, network, dataset.train)
            teacher = largest.extract(space.landmarks[-1])
        _train_routes(space, network, dataset, settings, teacher, together.checkpoint, advance)
    together.save(network)
    return Trained(space, network, dataset.train, score)


def _train_anchor(
    space: StitchSpace,
    network: StitchedNetwork,
    dataset: Dataset,
    settings: Training,
    anchor: int,
    checkpoint: Checkpoint,
    advance: Advance,
) -> None:
    """Trains one anchor alone, from its file of weights if settings name one."""
    _place(space, settings, network, anchor)
    route = space.route(space.landmarks[anchor])
    fit(
        network,
        _groups(network, route, settings.learning_rates),
        lambda x, step: network(x, route),
        dataset,
        Schedule(settings.train_epochs, settings.batch, settings.seed),
        distillation.labels_only,
        checkpoint,
        _logged(advance, f"anchor {space.family.anchors[anchor]}"),
    )


def _train_routes(
    space: StitchSpace,
    network: StitchedNetwork,
    dataset: Dataset,
    settings: Training,
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
    row_of = _DRAWS[settings.routes](space, settings.seed)
    fit(
        network,
        _groups(network, space.parts, settings.learning_rates),
        lambda x, step: network(x, space.route(row_of(step))),
        dataset,
        Schedule(settings.stitch_epochs, settings.batch, settings.seed),
        loss_of(settings, teacher),
        checkpoint,
        _logged(advance, "all routes"),
    )
    if settings.stitch_rank is not None:
        low_rank.merge(stitches)


def _logged(advance: Advance, stage: str) -> Advance:
    """Logs epochs of a stage, each of which is one step of progress."""

    def advanced(epoch: str) -> None:
        _LOG.info("%s: %s", stage, epoch)
        advance(f"{stage}, {epoch}")

    return advanced


def _groups(
    network: StitchedNetwork, parts: Sequence[Part], learning_rates: Mapping[str, float]
) -> list[dict[str, object]]:
    """A group of parameters for each kind of part that learns."""
    groups: list[dict[str, object]] = []
    for kind, learning_rate in learning_rates.items():
        modules = network.modules_of([part for part in parts if part.kind == kind])
        parameters = [p for m in modules for p in m.parameters() if p.requires_grad]
        if parameters and learning_rate > 0:
            groups.append({"params": parameters, "lr": learning_rate})
    return groups


def check(space: StitchSpace, dataset: Dataset) -> None:
    """Refuses data that do not fit a space.

    Raises:
        ContractError: if shapes or classes differ, or the space's anchors do not grow.
    """
    check_order(space.family, count_macs(space, space.landmarks))
    wanted = space.input_shape[1:]
    for split in SPLITS:
        shape = tuple(getattr(dataset, split).images.shape[1:])
        if shape == wanted:
            continue
        raise ContractError(
            f"There is no training for {space.name} on the data {dataset.name!r}: "
            f"images of its {split} split have shape {shape}, and the space takes {wanted}. "
            "Its latencies can be had with `tailorbird profile RECIPE`."
        )
    if dataset.n_classes != space.family.n_classes:
        raise ContractError(
            f"Data and space must have as many classes, but {dataset.name!r} has n_classes = "
            f"{dataset.n_classes}, and {space.family.name} has n_classes = "
            f"{space.family.n_classes}. Give the space n_classes = {dataset.n_classes}, or name "
            "other data."
        )


def placed(
    space: StitchSpace, seed: int, files: Mapping[str, Path], keys: Mapping[str, str]
) -> tuple[StitchedNetwork, dict[str, anchors.Placement]]:
    """A network that starts from files of weights, and what became of each file, by anchor.

    Args:
        space: whose family has a method `place`, if there are files.
        seed: of the weights that no file holds.
        files: by anchor.
        keys: where in the files the weights lie, by anchor; found out where not given.

    Raises:
        WeightsError: if they do not fit.
    """
    network = _fresh(space, seed)
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


def _place(space: StitchSpace, settings: Training, network: StitchedNetwork, anchor: int) -> None:
    name = space.family.anchors[anchor]
    if name in settings.anchors:
        # The protocol is that of the weights' names; a family without it was refused.
        family = cast(Pretrained, space.family)
        path, key = settings.anchors[name], settings.keys.get(name)
        check_heads({name: anchors.place(network, family, anchor, path, key)}, settings)


def _fresh(space: StitchSpace, seed: int) -> StitchedNetwork:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return StitchedNetwork(space)


def _anchor(
    space: StitchSpace, dataset: Dataset, settings: Training, folder: Path, anchor: int
) -> Stage:
    name = space.family.anchors[anchor]
    identity = _identity(space.family.name, dataset, settings.batch, settings.alone(name))
    route = space.route(space.landmarks[anchor])
    return Stage(folder / f"anchor-{name}.safetensors", identity, route)


def _stitched(space: StitchSpace, dataset: Dataset, settings: Training, folder: Path) -> Stage:
    alone = [settings.alone(name) for name in space.family.anchors]
    decides = {"alone": alone, **settings.together()}
    identity = _identity(space.name, dataset, settings.batch, decides)
    return Stage(folder / "stitched.safetensors", identity, space.parts)


def _identity(name: str, dataset: Dataset, batch: int, settings: dict[str, object]) -> str:
    facts = {"rules": RULES, "name": name, "dataset": dataset.fingerprint, **settings}
    if len(dataset.train.labels) > batch and len(dataset.train.labels) % batch == 1:
        facts["last_image"] = "joined"  # to its neighbours; it was a batch alone once
    return json.dumps(facts, sort_keys=True)
