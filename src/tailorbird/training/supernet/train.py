"""Training of a supernet: all networks of a space together, by a rule."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from tailorbird.errors import ContractError
from tailorbird.progress import Progress
from tailorbird.registry.python_paths import check_named
from tailorbird.registry.python_paths import load as import_path
from tailorbird.registry.training_rules import TRAINING_RULES
from tailorbird.spaces import SharedSpace
from tailorbird.spaces.shared import fingerprint
from tailorbird.training.data.dataset import Dataset
from tailorbird.training.distillation import loss_of
from tailorbird.training.fit import Losses, Schedule, fit
from tailorbird.training.ranks import ALONE, Ranks
from tailorbird.training.score import Score, accuracy
from tailorbird.training.shared.fitting_data import (
    check_classes_fit,
    check_images_fit,
    n_classes_of,
)
from tailorbird.training.shared.learning import groups_of, identity, logged, tell_updates
from tailorbird.training.shared.network import SharedNetwork, fresh
from tailorbird.training.shared.route_sampling import draw_of
from tailorbird.training.shared.stage import Stage
from tailorbird.training.shared.trained import Trained
from tailorbird.training.supernet.importance import sort
from tailorbird.training.supernet.largest import Placement, check_new_head, place
from tailorbird.training.supernet.rules import Pass, Rule, RuleInputs, RuleMaker, Step, rows_of
from tailorbird.training.supernet.rules.repeated import repeated
from tailorbird.training.supernet.settings import VERSION, SupernetTraining


def load(
    space: SharedSpace,
    dataset: Dataset,
    settings: SupernetTraining,
    folder: Path,
    score: Score = accuracy,
) -> Trained | None:
    """Loads what `train` made with the same arguments; None if there is no such thing."""
    stage = stage_of(space, dataset, settings, folder)
    if not stage.is_made():  # quickly, before a network is made for it
        return None
    network = fresh(space, settings.seed)
    if not stage.load(network):
        return None
    return Trained(space, network, dataset.train, score, settings.compute)


def train(
    space: SharedSpace,
    dataset: Dataset,
    settings: SupernetTraining,
    folder: Path,
    progress: Progress,
    *,
    rule: RuleMaker | None = None,
    teacher: nn.Module | None = None,
    score: Score = accuracy,
) -> Trained:
    """Trains the shared weights of a space, or loads what was trained with the same settings.

    They are saved as safetensors when they are done; training that was interrupted goes on from its
    checkpoint, to the same result.

    Args:
        space: of the networks.
        dataset: its training split is used.
        settings: epochs, seed and the rest.
        folder: for the weights.
        progress: counts epochs.
        rule: in the place of the one that the settings name; `program` of the settings tells it
            from others.
        teacher: gives logits for images.
        score: what `Trained.evaluate` gives.

    Raises:
        ContractError: if data and space do not fit, weights cannot be shared, or nothing tells a
            rule from others, or the settings name what there is not.
        WeightsError: if weights that the largest network starts with do not fit.
        TrainingError: if training diverges.
    """
    _check_named(settings, rule)
    trained = load(space, dataset, settings, folder, score)
    if trained is not None:
        return trained
    check(space, dataset)
    device = settings.compute.torch_device
    made = rule_of(space, settings, rule, teacher and teacher.to(device))
    settings.optimization.check_warm_up(settings.epochs)
    network = started(space, dataset, settings)[0].to(device)
    stage = stage_of(space, dataset, settings, folder)
    schedule = Schedule(settings.epochs, settings.batch, settings.seed, made.n_passes)
    n_steps, how = schedule.n_steps(len(dataset.train.labels)), settings.optimization
    with progress.task("Training", settings.epochs) as advance, network.dropping(how.drop_path):
        updates = fit(
            network,
            groups_of(network, space.pieces, settings.learning_rates),
            losses_of(space, network, made, settings.seed, n_steps, settings.compute.ranks),
            dataset,
            schedule,
            how,
            settings.compute,
            stage.checkpoint,
            logged(advance, "supernet"),
        )
    tell_updates(f"supernet of {space.name}", updates, "supernet_epochs")
    stage.save(network)
    return Trained(space, network, dataset.train, score, settings.compute)


def check(space: SharedSpace, dataset: Dataset) -> None:
    """Refuses data that do not fit a space.

    Raises:
        ContractError: if shapes or classes differ.
    """
    check_images_fit(space, dataset)
    check_classes_fit(space.name, n_classes_of(space), dataset)


def started(
    space: SharedSpace, dataset: Dataset, settings: SupernetTraining
) -> tuple[SharedNetwork, Placement]:
    """A network as training begins with it, and what became of the file that settings name.

    Raises:
        ContractError: if units of its weights cannot be sorted.
        WeightsError: if the file does not fit the largest network, or has no head for these classes
            and settings leave it as it is drawn.
    """
    network = fresh(space, settings.seed)
    if settings.largest is None:
        return network, Placement("", ())
    placement = place(space, network, settings.largest, settings.key)
    if placement.new_head:
        check_new_head(placement.new_head, settings)
    sort(space, network, dataset.train, settings.importance)
    return network, placement


def rule_of(
    space: SharedSpace,
    settings: SupernetTraining,
    make: RuleMaker | None = None,
    teacher: nn.Module | None = None,
) -> Rule:
    """The rule that settings name, or that is made by a function of one's own.

    Raises:
        ContractError: if there is no rule, draw or distillation of a name, or several networks a
            step are asked of a rule that has several already.
    """
    draw = draw_of(settings.routes, space, settings.seed)
    loss = loss_of(settings.distillation, teacher, settings.optimization.label_smoothing)
    inputs = RuleInputs(space, draw, loss, settings.distillation, settings.seed)
    if make is None:
        check_named(settings.rule, TRAINING_RULES, "rule")
        make = import_path(TRAINING_RULES[settings.rule].path)
    return repeated(make(inputs), space, settings.routes_per_step)


def _check_named(settings: SupernetTraining, make: RuleMaker | None) -> None:
    """Refuses a rule whose weights would be taken for those of another."""
    entry = TRAINING_RULES.get(settings.rule)
    is_registered = entry is not None and make is import_path(entry.path)
    if make is not None and not settings.program and not is_registered:
        raise ContractError(
            "A rule of one's own must be told from others, or weights that they made are loaded, "
            "but `program` of the settings is empty. Put a text there that changes with the rule."
        )


def losses_of(
    space: SharedSpace,
    network: SharedNetwork,
    rule: Rule,
    seed: int,
    n_steps: int,
    ranks: Ranks = ALONE,
) -> Losses:
    """Losses of the networks that a rule trains in each of so many steps."""

    def losses(number: int, images: Tensor, labels: Tensor) -> Iterator[Tensor]:
        rng, first = np.random.default_rng([seed, number, *ranks.own_draw]), None
        step = Step(rng, images, labels, network, number, n_steps)
        for i, row in enumerate(ranks.rows(rows_of(space, rule, step), rule.most)):
            route = space.route(row)
            logits = network(images, route)
            first = logits.detach() if first is None else first
            yield rule.loss(Pass(i, logits, labels, images, first, step.fraction))
            network.drop_windows(route)  # its gradient was had

    return losses


def stage_of(
    space: SharedSpace, dataset: Dataset, settings: SupernetTraining, folder: Path
) -> Stage:
    """File of the weights that these arguments make."""
    kinds = {piece.kind for piece in space.pieces}
    decides = {
        "pieces": fingerprint(space.pieces),
        "epochs": settings.epochs,
        "seed": settings.seed,
        "batch": settings.batch,
        "learning_rates": {k: rate for k, rate in settings.learning_rates.items() if k in kinds},
        "rule": settings.rule,
        "program": settings.program,
        "routes": settings.routes,
        "distillation": settings.distillation,
        "teacher": settings.teacher,
        **settings.start(),
        **settings.optimization.decides,
        **settings.compute.decides,
    }
    if settings.routes_per_step > 1:
        decides["routes_per_step"] = settings.routes_per_step
    made_with = identity(VERSION, space.name, dataset, settings.batch, decides)
    names = [*dict.fromkeys(piece.weights for piece in space.pieces)]
    path = folder / "supernet.safetensors"
    return Stage(path, made_with, names, dataset.preprocessing, settings.compute.ranks)
