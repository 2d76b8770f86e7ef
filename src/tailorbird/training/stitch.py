"""Training a stitch space: anchors one by one, then all routes together."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import repeat
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from tailorbird.progress import Progress
from tailorbird.spaces.stitching import Part, StitchSpace
from tailorbird.training.dataset import Dataset
from tailorbird.training.fit import Schedule, fit
from tailorbird.training.least_squares import initialise_stitches
from tailorbird.training.network import StitchedNetwork
from tailorbird.training.trained import Trained

RULES = "stitch-1"
"""Part of what weights were made with: raise it when training changes what it makes."""

_LEARNING_RATE = 2e-2


@dataclass(frozen=True, slots=True)
class Training:
    """What decides the weights of a space, besides its data.

    Attributes:
        train_epochs: for each anchor alone.
        stitch_epochs: for all routes together.
        seed: of weights, images and routes.
    """

    train_epochs: int
    stitch_epochs: int
    seed: int


def load(space: StitchSpace, dataset: Dataset, settings: Training, folder: Path) -> Trained | None:
    """What `train` made with the same arguments; None if there is no such thing."""
    network = _fresh(space, settings.seed)
    if not _stitched(space, dataset, settings, folder).load(network):
        return None
    return Trained(space, network, dataset.train)


def train(
    space: StitchSpace, dataset: Dataset, settings: Training, folder: Path, progress: Progress
) -> Trained:
    """Trains anchors, joins them by least squares, and fine-tunes all routes together.

    Each stage is saved as safetensors when it is done, and loaded instead of trained if it was
    made with the same settings.

    Args:
        space: of stitched networks.
        dataset: its training split is used.
        settings: epochs and seed.
        folder: for the stages.
        progress: counts epochs.
    """
    trained = load(space, dataset, settings, folder)
    if trained is not None:
        return trained
    network = _fresh(space, settings.seed)
    folder.mkdir(parents=True, exist_ok=True)
    # An anchor does not depend on how it is going to be stitched.
    names = space.family.anchors
    alone = {
        "rules": RULES,
        "family": space.family.name,
        "dataset": dataset.name,
        "train_epochs": settings.train_epochs,
        "seed": settings.seed,
    }
    routes = [space.route(row) for row in space.landmarks]
    anchors = [
        _Stage(folder / f"anchor-{name}.safetensors", {**alone, "anchor": name}, route)
        for name, route in zip(names, routes, strict=True)
    ]
    todo = [a for a, stage in enumerate(anchors) if not stage.load(network)]
    epochs = len(todo) * settings.train_epochs + settings.stitch_epochs
    with progress.task("Training", epochs) as advance:
        for a in todo:
            fit(
                network,
                [p for module in network.modules_of(routes[a]) for p in module.parameters()],
                repeat(routes[a]),
                dataset.train,
                Schedule(settings.train_epochs, _LEARNING_RATE, settings.seed),
                partial(advance, f"anchor {names[a]}"),
            )
            anchors[a].save(network)
        initialise_stitches(space, network, torch.from_numpy(dataset.train.images))
        largest = Trained(space, network, dataset.train).extract(space.landmarks[-1])
        fit(
            network,
            list(network.parameters()),
            _routes(space, settings.seed),
            dataset.train,
            Schedule(settings.stitch_epochs, _LEARNING_RATE, settings.seed),
            partial(advance, "all routes"),
            teacher=largest,
        )
    _stitched(space, dataset, settings, folder).save(network)
    return Trained(space, network, dataset.train)


def _fresh(space: StitchSpace, seed: int) -> StitchedNetwork:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return StitchedNetwork(space)


def _stitched(space: StitchSpace, dataset: Dataset, settings: Training, folder: Path) -> "_Stage":
    identity = {
        "rules": RULES,
        "space": space.name,
        "dataset": dataset.name,
        **asdict(settings),
    }
    return _Stage(folder / "stitched.safetensors", identity, space.parts)


def _routes(space: StitchSpace, seed: int) -> Iterator[tuple[Part, ...]]:
    """Routes to train: first the number of stitches, uniformly, then a route that has it.

    Drawn uniformly over routes, anchors and single stitches would starve: of 4,795 routes
    of digits-resnet 4,043 have three stitches.
    """
    rng = np.random.default_rng(seed)
    most = min(space.max_stitches, len(space.family.anchors) - 1)
    by_count: list[list[tuple[Part, ...]]] = [[] for _ in range(most + 1)]
    while True:
        n_stitches = int(rng.integers(most + 1))
        waiting = by_count[n_stitches]
        if not waiting:
            X = space.with_at_most(n_stitches).sample(256, rng)
            exact = X[np.count_nonzero(X[:, 1:], axis=1) == n_stitches]
            waiting += [space.route(row) for row in exact]
        if waiting:
            yield waiting.pop()


class _Stage:
    """A file with the weights of some parts, which knows what they were made with."""

    def __init__(self, path: Path, identity: dict[str, object], parts: Sequence[Part]) -> None:
        self.path = path
        self.identity = json.dumps(identity, sort_keys=True)
        self.prefixes = tuple(f"parts.{part}." for part in parts)

    def load(self, network: StitchedNetwork) -> bool:
        """Puts the weights in place; false if there are none, others, or not all."""
        try:
            with safe_open(self.path, framework="pt") as file:
                if (file.metadata() or {}).get("identity") != self.identity:
                    return False
                names = file.keys()  # not a mapping: it cannot be iterated itself
                weights = {name: file.get_tensor(name) for name in names}
        except (OSError, SafetensorError):
            return False
        if weights.keys() != self._weights(network).keys():
            return False
        network.load_state_dict(weights, strict=False)  # the other parts stay as they are
        return True

    def save(self, network: StitchedNetwork) -> None:
        """Writes the weights, whole or not at all."""
        new = self.path.with_suffix(".new")
        save_file(self._weights(network), new, metadata={"identity": self.identity})
        new.replace(self.path)

    def _weights(self, network: StitchedNetwork) -> dict[str, Tensor]:
        state = network.state_dict()
        return {name: state[name] for name in state if name.startswith(self.prefixes)}
