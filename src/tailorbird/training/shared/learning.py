"""What the steps of every training of shared weights have in common."""

import json
import logging
from collections.abc import Iterable, Mapping

from tailorbird.progress import Advance
from tailorbird.spaces import Piece
from tailorbird.training.data.dataset import Dataset
from tailorbird.training.shared.network import SharedNetwork
from tailorbird.training.updates import FEW, Updates

_LOG = logging.getLogger("tailorbird")


def groups_of(
    network: SharedNetwork, pieces: Iterable[Piece], learning_rates: Mapping[str, float]
) -> list[dict[str, object]]:
    """A group of parameters for each kind of piece that learns.

    Args:
        network: that has them.
        pieces: that are trained.
        learning_rates: peak, by kind; 0 leaves it as it is.
    """
    groups: list[dict[str, object]] = []
    kinds = {piece.weights: piece.kind for piece in pieces}
    for kind, learning_rate in learning_rates.items():
        modules = [network.parts[name] for name in kinds if kinds[name] == kind]
        parameters = [p for m in modules for p in m.parameters() if p.requires_grad]
        if parameters and learning_rate > 0:
            groups.append({"params": parameters, "lr": learning_rate})
    return groups


def logged(advance: Advance, stage: str) -> Advance:
    """Logs epochs of a stage, each of which is one step of progress."""

    def advanced(epoch: str) -> None:
        _LOG.info("%s: %s", stage, epoch)
        advance(f"{stage}, {epoch}")

    return advanced


def tell_updates(stage: str, updates: Updates | None, epochs: str) -> None:
    """Logs how often parts that networks share learned, with a warning where that is seldom.

    Args:
        stage: of training.
        updates: numbers of steps; None if there was nothing to learn.
        epochs: name of the setting with the epochs of the stage.
    """
    if updates is None:
        return
    _LOG.info("%s: %s", stage, updates)
    if updates.few:
        least = updates.few[0]
        _LOG.warning(
            "%s: %d of %d parts learned in fewer than %d steps (%s in %d). Raise %s, or lower "
            "batch or routes_per_step.",
            *(stage, len(updates.few), len(updates.counts), FEW, least, updates.counts[least]),
            epochs,
        )


def identity(
    version: str, name: str, dataset: Dataset, batch: int, settings: Mapping[str, object]
) -> str:
    """Text of all that decides weights.

    Args:
        version: of the rules of their training.
        name: of what is trained.
        dataset: that it learns from.
        batch: batch size.
        settings: all that matter.
    """
    facts = {"rules": version, "name": name, "dataset": dataset.fingerprint, **settings}
    if len(dataset.train.labels) > batch and len(dataset.train.labels) % batch == 1:
        facts["last_image"] = "joined"  # to its neighbours; it was a batch alone once
    return json.dumps(facts, sort_keys=True)
