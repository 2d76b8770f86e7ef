"""Inputs of the training of all spaces of a union, each by its own kind."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from torch import nn

from tailorbird.errors import RecipeError
from tailorbird.pipeline.accuracy_sources.training_inputs import TrainingInputs
from tailorbird.pipeline.accuracy_sources.training_passes import Passes
from tailorbird.pipeline.python_path import users_code
from tailorbird.progress import Progress
from tailorbird.spaces import IntArray
from tailorbird.spaces.preprocessing import Preprocessing
from tailorbird.spaces.unions.kinds import SharedUnion
from tailorbird.training import Dataset, Finetuning, SharedNetwork, Trained
from tailorbird.training.compute import Compute
from tailorbird.training.score import Score

_LONGEST_NAME = 100


@dataclass(frozen=True)
class UnionInputs:
    """Inputs of the training of each space of a union, in a folder of its own.

    Weights are those that the space would have alone: same seed, same keys of its own.

    Attributes:
        space: the union.
        members: inputs of its spaces, in their order; the first has the data set of all.
    """

    space: SharedUnion
    members: "tuple[TrainingInputs | UnionInputs, ...]"

    def train(self, folder: Path, progress: Progress) -> Trained:
        """Trains each space into its folder, or loads what was trained there."""
        return self._joined([one.train(at, progress) for one, at in self._placed(folder)])

    def load(self, folder: Path) -> Trained | None:
        """Loads what `train` made; None if any of it is missing."""
        loaded = list[Trained]()
        for one, at in self._placed(folder):
            trained = one.load(at)
            if trained is None:
                return None
            loaded.append(trained)
        return self._joined(loaded)

    def is_trained(self, folder: Path) -> bool:
        """True if `load` will find weights of all spaces, whole or not."""
        return all(one.is_trained(at) for one, at in self._placed(folder))

    def passes(self, folder: Path) -> Sequence[Passes]:
        """Passes that each space takes that is not trained yet."""
        left = [(one, at) for one, at in self._placed(folder) if not one.is_trained(at)]
        return [passes for one, at in left for passes in one.passes(at)]

    def anchors_alone(self, folder: Path) -> None:
        """None: a union's landmarks are not all anchors."""

    def check_keys(self) -> None:
        """Refuses keys of [accuracy] that are for no space, and spaces with different classes.

        Raises:
            RecipeError: if there are some.
        """
        for one in self.members:
            one.check_keys()
        first, *others = self.members
        for other in others:
            with users_code(other.named_space):
                differs = other.n_classes != first.n_classes
            if differs:
                raise RecipeError(
                    "[[space]]: Spaces of a union must tell the same classes apart, but networks "
                    f"of {first.space.name} tell {first.n_classes:,}, and those of "
                    f"{other.space.name} {other.n_classes:,}. Give one the other's n_classes."
                )

    def check(self, weights: Path) -> None:
        """Refuses what does not fit each other, see `TrainingInputs.check`."""
        self.check_keys()
        for one, at in self._placed(weights):
            one.check(at)

    def finetuning(self, row: IntArray) -> Finetuning:
        """Settings of training one network on: those of its space."""
        m, own = self.space.rows.own(row)
        return self.members[m].finetuning(own)

    def alone(self, row: IntArray) -> Finetuning | None:
        """Settings of training one network from scratch: those of its space, if they are known."""
        m, own = self.space.rows.own(row)
        return self.members[m].alone(own)

    @property
    def named_space(self) -> str:
        """Where the recipe names the spaces."""
        return self.members[0].named_space

    @property
    def n_classes(self) -> int:
        """Number of classes that networks tell apart."""
        return self.members[0].n_classes

    @property
    def lending(self) -> TrainingInputs:
        """Inputs of the space that has the data set of all."""
        first = self.members[0]
        return first if isinstance(first, TrainingInputs) else first.lending

    def published(self) -> Mapping[str, Preprocessing]:
        """Preprocessing that weights of all spaces were trained with, if their files say."""
        return {
            f"{name} of {one.space.name}": preprocessing
            for one in self.members
            for name, preprocessing in one.published().items()
        }

    @property
    def compute(self) -> Compute:
        """Where and how networks compute."""
        return self.members[0].compute

    def dataset(self) -> Dataset:
        """The data set of all spaces."""
        return self.members[0].dataset()

    def teacher(self) -> nn.Module | None:
        """The teacher of all spaces; None if there is none."""
        return self.members[0].teacher()

    def score(self) -> Score:
        """Score that networks are evaluated by."""
        return self.members[0].score()

    def remarks(self) -> tuple[str, ...]:
        """Sentences on what became of files of weights."""
        return tuple(remark for one in self.members for remark in one.remarks())

    def origin(self) -> str:
        """Ending of the sentence on accuracies in reports: where the weights are from."""
        origins = zip(self.space.labels, self.members, strict=True)
        told = [(label, one.origin()) for label, one in origins]
        return "".join(f"; those of {label}{origin}" for label, origin in told if origin)

    def _placed(self, folder: Path) -> Iterator["tuple[TrainingInputs | UnionInputs, Path]"]:
        """Inputs of each space with the folder of its weights."""
        for label, one in zip(self.space.labels, self.members, strict=True):
            yield one, folder / folder_name(label)

    def _joined(self, trained: list[Trained]) -> Trained:
        """The networks of all spaces, with the weights that those of each have."""
        networks = zip(self.space.prefixes, trained, strict=True)
        network = SharedNetwork.joined({prefix: one.network for prefix, one in networks})
        return Trained(self.space, network, self.dataset().train, self.score(), self.compute)


def folder_name(label: str) -> str:
    """Name of the folder of a space's weights: the space's, or a digest where that can be none."""
    name = quote(label, safe="")
    if name.strip(".") and len(name) <= _LONGEST_NAME:
        return name
    return hashlib.sha256(label.encode()).hexdigest()[:12]
