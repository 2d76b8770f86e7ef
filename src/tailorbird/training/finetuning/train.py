"""Training of one network alone: on from the weights that it shares with others, or afresh."""

import hashlib
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path

from torch import nn

from tailorbird.progress import Progress
from tailorbird.spaces import IntArray, SharedSpace
from tailorbird.spaces.footprint import count_macs
from tailorbird.spaces.shared import fingerprint
from tailorbird.spaces.unions.members import landmarks_beside
from tailorbird.training.data.dataset import Dataset
from tailorbird.training.distillation import Loss, loss_of
from tailorbird.training.finetuning.difference import difference
from tailorbird.training.finetuning.one_network import OneNetwork, taken_out
from tailorbird.training.finetuning.settings import VERSION, Finetuning
from tailorbird.training.fit import Schedule, fit
from tailorbird.training.one_thread import one_thread
from tailorbird.training.score import Score, accuracy
from tailorbird.training.shared.learning import groups_of, identity, logged
from tailorbird.training.shared.network import SharedNetwork, fresh
from tailorbird.training.shared.stage import Stage
from tailorbird.training.shared.trained import Trained


@dataclass(frozen=True, slots=True, eq=False)
class Finetuned:
    """A network before it was trained on, and with the weights that were kept.

    Attributes:
        before: with the weights that it shares with others.
        after: with those after training if they are better on validation images, else the same.
    """

    before: Trained
    after: Trained

    @property
    def has_changed(self) -> bool:
        """False if training did not make it better, so that its weights are those of before."""
        return self.before.fingerprint != self.after.fingerprint


def load(
    trained: Trained,
    row: IntArray,
    dataset: Dataset,
    settings: Finetuning,
    folder: Path,
    score: Score = accuracy,
) -> Finetuned | None:
    """Loads what `finetune` made with the same arguments; None if there is no such thing."""
    one = OneNetwork(trained.space, row)
    stage = finetuned_stage(one, trained.fingerprint, dataset, settings, folder)
    if not stage.is_made():
        return None
    start = taken_out(one, trained.network)
    network = deepcopy(start)
    if not stage.load(network):
        return None
    return Finetuned(
        *(Trained(one, n, dataset.train, score, settings.compute) for n in (start, network))
    )


def finetune(
    trained: Trained,
    row: IntArray,
    dataset: Dataset,
    settings: Finetuning,
    folder: Path,
    progress: Progress,
    *,
    teacher: nn.Module | None = None,
    score: Score = accuracy,
) -> Finetuned:
    """Trains one network on, or loads what was made so from the same weights and settings.

    It learns from the labels, and from the answers of the largest network of its space, of which
    a union has several. Its new weights are kept if they are better than those of before on
    validation images, by a standard error of the difference at least if that is known. What was
    kept is saved as safetensors when training is done, which goes on from its checkpoint if it was
    interrupted, to the same result.

    Args:
        trained: all networks of a space.
        row: its canonical row, (d,).
        dataset: trained on by its training split, chosen by its validation split.
        settings: epochs, seed and the rest.
        folder: for the weights.
        progress: counts epochs.
        teacher: gives logits for images, in the place of the largest network.
        score: that weights are chosen by.

    Raises:
        ContractError: if outputs are not finite, or settings name what there is not.
        TrainingError: if training diverges.
    """
    found = load(trained, row, dataset, settings, folder, score)
    if found is not None:
        return found
    if teacher is None:
        X = landmarks_beside(row, trained.space)
        teacher = trained.extract(X[count_macs(trained.space, X).argmax()])
    one = OneNetwork(trained.space, row)
    stage = finetuned_stage(one, trained.fingerprint, dataset, settings, folder)
    start = taken_out(one, trained.network)
    network = deepcopy(start)
    loss = _loss_of(settings, teacher)
    _fit(one, network, dataset, settings, stage, loss, progress, "Finetuning")
    before, after = (
        Trained(one, n, dataset.train, score, settings.compute) for n in (start, network)
    )
    with one_thread():
        gain = difference(after, before, row, dataset.validation, score)
    # Less is noise: weights that are right on two or three more validation images can be worse.
    if not gain.is_likely:
        network.load_state_dict(start.state_dict())
        after = Trained(one, network, dataset.train, score, settings.compute)
    stage.save(network)
    return Finetuned(before, after)


def load_alone(
    space: SharedSpace,
    row: IntArray,
    dataset: Dataset,
    settings: Finetuning,
    folder: Path,
    score: Score = accuracy,
) -> Trained | None:
    """Loads what `train_alone` made with the same arguments; None if there is no such thing."""
    one = OneNetwork(space, row)
    stage = _alone_stage(one, dataset, settings, folder)
    if not stage.is_made():
        return None
    network = fresh(one, settings.seed)
    if not stage.load(network):
        return None
    return Trained(one, network, dataset.train, score, settings.compute)


def train_alone(
    space: SharedSpace,
    row: IntArray,
    dataset: Dataset,
    settings: Finetuning,
    folder: Path,
    progress: Progress,
    *,
    teacher: nn.Module | None = None,
    score: Score = accuracy,
) -> Trained:
    """Trains one network from scratch, or loads what was trained so with the same settings.

    Args:
        space: of the network.
        row: its canonical row, (d,).
        dataset: its training split is used.
        settings: epochs, seed and the rest.
        folder: for the weights.
        progress: counts epochs.
        teacher: gives logits for images; labels alone teach if None.
        score: what `Trained.evaluate` gives.

    Raises:
        TrainingError: if training diverges.
    """
    found = load_alone(space, row, dataset, settings, folder, score)
    if found is not None:
        return found
    one = OneNetwork(space, row)
    stage = _alone_stage(one, dataset, settings, folder)
    network = fresh(one, settings.seed)
    loss = _loss_of(settings, teacher)
    _fit(one, network, dataset, settings, stage, loss, progress, "From scratch")
    stage.save(network)
    return Trained(one, network, dataset.train, score, settings.compute)


def _loss_of(settings: Finetuning, teacher: nn.Module | None) -> Loss:
    """Loss to labels, and to a teacher's answers if there is one."""
    at = None if teacher is None else teacher.to(settings.compute.torch_device)
    return loss_of(settings.distillation, at, settings.optimization.label_smoothing)


def _fit(
    one: OneNetwork,
    network: SharedNetwork,
    dataset: Dataset,
    settings: Finetuning,
    stage: Stage,
    loss: Loss,
    progress: Progress,
    title: str,
) -> None:
    route = one.route(one.row)
    stage.path.parent.mkdir(parents=True, exist_ok=True)
    network.to(settings.compute.torch_device)
    drop_path = settings.optimization.drop_path
    with progress.task(title, settings.epochs) as advance, network.dropping(drop_path):
        fit(
            network,
            groups_of(network, one.pieces, settings.learning_rates),
            lambda step, x, labels: (loss(network(x, route), labels, x),),
            dataset,
            Schedule(settings.epochs, settings.batch, settings.seed),
            settings.optimization,
            settings.compute,
            stage.checkpoint,
            logged(advance, title.lower()),
        )


def finetuned_stage(
    one: OneNetwork, start: str, dataset: Dataset, settings: Finetuning, folder: Path
) -> Stage:
    """File of the weights that a network gets when it is trained on.

    Args:
        one: the network.
        start: fingerprint of the weights of all networks, which are the teacher's as well.
        dataset: that it learns from, and that weights are chosen by.
        settings: of training.
        folder: for the file.
    """
    return _stage(one, dataset, settings, folder, "", {"start": start})


def _alone_stage(one: OneNetwork, dataset: Dataset, settings: Finetuning, folder: Path) -> Stage:
    return _stage(one, dataset, settings, folder, "-alone", {})


def _stage(
    one: OneNetwork,
    dataset: Dataset,
    settings: Finetuning,
    folder: Path,
    ending: str,
    more: Mapping[str, object],
) -> Stage:
    kinds = {piece.kind for piece in one.pieces}
    rates = {k: rate for k, rate in settings.learning_rates.items() if k in kinds}
    plain = asdict(settings)
    del plain["optimization"], plain["compute"]
    decides = {
        **plain,
        **settings.optimization.decides,
        **settings.compute.decides,
        "learning_rates": rates,
        "architecture": one.row.tolist(),
        "pieces": fingerprint(one.pieces),
        **more,
    }
    made_with = identity(VERSION, one.space.name, dataset, settings.batch, decides)
    digest = hashlib.sha256(one.name.encode()).hexdigest()[:12]  # a text may be too long for a name
    names = [piece.weights for piece in one.pieces]
    path = folder / f"{digest}{ending}.safetensors"
    return Stage(path, made_with, names, dataset.preprocessing, settings.compute.ranks)
