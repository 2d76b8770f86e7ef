"""Accuracies of networks that are trained here."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import nn

from tailorbird.errors import MissingStepError
from tailorbird.pipeline.accuracy_sources.evaluated import EvaluatedAccuracy
from tailorbird.pipeline.accuracy_sources.finetuner import Finetuner
from tailorbird.pipeline.accuracy_sources.inputs import inputs_of
from tailorbird.pipeline.accuracy_sources.training_inputs import TrainingInputs
from tailorbird.pipeline.accuracy_sources.training_passes import Paces
from tailorbird.pipeline.accuracy_sources.union_inputs import UnionInputs
from tailorbird.pipeline.opened_recipe import OpenedRecipe
from tailorbird.pipeline.own_code.zero_cost_score import zero_cost_scores_of
from tailorbird.pipeline.planned_work import PlannedWork
from tailorbird.pipeline.run_folder import LOG
from tailorbird.predictors.accuracy.zero_cost import ZeroCost, ZeroCostFeatures
from tailorbird.progress import NoProgress, Progress
from tailorbird.registry.python_paths import is_path
from tailorbird.search.evaluation.executors import Evaluator
from tailorbird.spaces import FloatArray, IntArray
from tailorbird.spaces.preprocessing import Preprocessing
from tailorbird.spaces.shared import HasPieces
from tailorbird.training import Dataset, Trained
from tailorbird.training.data.images import LabelledImages, inputs
from tailorbird.training.one_thread import one_thread

_SCORED = 32  # images that zero-cost scores see
_ALONE = "alone"  # of anchors before they were stitched, on test images


def opened(asked: OpenedRecipe) -> "TrainedAccuracy":
    """Opens the source of a recipe that no other kind of source is for.

    Raises:
        EncodingError: if earlier evaluations that it names do not fit its space.
    """
    database = asked.database
    source = TrainedAccuracy(
        asked.recipe, asked.home, asked.space, database.folder, database.checked_url
    )
    if isinstance(source.space, HasPieces):
        source.inputs.check_keys()
    source.earlier()  # whatever command goes on from here, before it measures or trains
    return source


@dataclass(frozen=True)
class TrainedAccuracy(EvaluatedAccuracy):
    """Accuracies of networks that are trained here; their weights lie in the folder of the run."""

    runs_networks: ClassVar = True

    @property
    def step(self) -> str:
        """Name of the step in which weights are trained, or read from a file."""
        return "train" if self.recipe.accuracy.trained is None else "read weights"

    @property
    def weights(self) -> Path:
        """Folder for weights."""
        return self.folder / "weights"

    def check(self, progress: Progress) -> None:
        """Refuses data, code, weights or earlier evaluations that do not fit; once is enough."""
        _ = self._checked
        self.check_place()

    @cached_property
    def _checked(self) -> None:
        self.check_evaluations()
        self.inputs.check(self.weights)
        scores = self.zero_cost(NoProgress())
        if scores is not None and any(map(is_path, scores.functions)):
            scores(self.space.landmarks[:1])
        self.try_predictor()

    @cached_property
    def inputs(self) -> TrainingInputs | UnionInputs:
        """Data, score, teacher and weights of the training.

        Raises:
            RecipeError: if the space is none that can be trained.
        """
        return inputs_of(self.recipe, self.home, self.space)

    def planned(self, n_networks: int) -> tuple[PlannedWork, ...]:
        """What is left to train and evaluate; what a study knows already is done at once."""
        paces = Paces(self.inputs, self.recipe.accuracy.batch)
        n = min(self.recipe.accuracy.evaluations, self.space.size)
        n_seen, n_reported = self.n_validation(), self.n_validation() + self.n_test()
        told = f"up to {n:,} networks on {n_seen:,} images, {n_networks} on {n_reported:,}"
        each_s = paces.evaluation_s(self.space)
        seconds = each_s * (n * n_seen + n_networks * n_reported)
        return paces.training(self.weights), PlannedWork("evaluate", told, seconds)

    def obtain(self, progress: Progress) -> None:
        """Trains, or loads what was trained."""
        self.train(progress)

    def train(self, progress: Progress) -> Trained:
        """Trains, or loads what was trained."""
        _ = self._checked
        made = self.inputs
        for remark in made.remarks():
            LOG.warning("%s", remark)
        return made.train(self.weights, progress)

    def trained(self) -> Trained:
        """The trained networks.

        Raises:
            MissingStepError: if it was not.
        """
        return self._trained

    @cached_property
    def _trained(self) -> Trained:
        found = self.inputs.load(self.weights)
        if found is None:
            raise MissingStepError(
                f"There are no weights for this recipe in {str(self.weights)!r}. "
                "Make them with `tailorbird train RECIPE`."
            )
        return found

    def test(self, X: IntArray, progress: Progress) -> FloatArray:
        """Accuracies on images that only reports see; NaN for what cannot be evaluated."""
        return self.remembered("test", X, progress)

    def images(self, n: int) -> NDArray[np.float32] | None:
        """Test images."""
        test = self.dataset().test
        return inputs(test, np.arange(min(n, len(test.labels)))).numpy()

    def anchors_alone(self, progress: Progress) -> FloatArray | None:
        """Accuracies of anchors on images that only reports see, before they were stitched."""
        if self._anchors_alone is None:
            return None
        return self.remembered(_ALONE, self.space.landmarks, progress)

    @cached_property
    def _anchors_alone(self) -> Trained | None:
        return self.inputs.anchors_alone(self.weights)

    def evaluator(self, split: str) -> Evaluator:
        """Evaluates on one thread, so that values do not depend on the number of threads."""
        trained, images = self._networks_and_images(split)

        def evaluate(X: IntArray) -> FloatArray:
            with one_thread():
                return trained.evaluate(X, images)

        return evaluate

    def _networks_and_images(self, split: str) -> tuple[Trained, LabelledImages]:
        if split != _ALONE:
            return self.trained(), getattr(self.dataset(), split)
        if self._anchors_alone is None:
            raise MissingStepError(f"Weights of anchors are gone from {str(self.weights)!r}.")
        return self._anchors_alone, self.dataset().test

    def study_name(self, split: str) -> str:
        """Name with the data, the score, the space and the weights."""
        of = f"{self.dataset().fingerprint}/{split}/{self.measure}"
        precision = self.inputs.compute.precision
        of += "" if precision == "f32" else f"/{precision}"
        return f"{of}/{self.space.name}@{self.trained().fingerprint}"

    @property
    def measure(self) -> str:
        """`accuracy`, or the Python path of the score in its place."""
        return self.recipe.accuracy.evaluator or "accuracy"

    def network(self, row: IntArray) -> nn.Module:
        """The network of a canonical row, with its trained weights."""
        return self.trained().extract(row)

    def trained_networks(self) -> Callable[[IntArray], nn.Module]:
        """Returns networks with the weights that they were finetuned to, if they were.

        Weights are loaded when it is first called.
        """
        return self._finished

    def _finished(self, row: IntArray) -> nn.Module:
        finetuner, named = self.finetuner(), self.space.describe(row)
        if not finetuner.folder.is_dir():
            return self.network(row)
        found = finetuner.load(row)
        if found is not None:
            LOG.warning("%s has the weights that `tailorbird finetune RECIPE` gave it.", named)
            return found.after.extract(row)
        if finetuner.has_others(row):
            LOG.warning(
                "%s has the weights that it shares with others: `tailorbird finetune RECIPE` gave "
                "it its own from other weights or with other settings than the recipe's.",
                named,
            )
        return self.network(row)

    def finetuner(self) -> Finetuner:
        """Trains single networks on; weights are loaded when they are needed."""
        return Finetuner(self.inputs, self.trained, self.weights / "finetuned")

    def fingerprint(self) -> str:
        """Fingerprint of the trained weights."""
        return self.trained().fingerprint

    def n_validation(self) -> int:
        """Images that only the search sees."""
        return len(self.dataset().validation.labels)

    def n_test(self) -> int:
        """Images that only reports see."""
        return len(self.dataset().test.labels)

    def preprocessing(self) -> Preprocessing | None:
        """How pictures become images that networks take; None if nobody says."""
        return self.dataset().preprocessing

    def class_names(self) -> tuple[str, ...]:
        """Names of the classes that logits are for, in their order; none if nobody says."""
        return self.dataset().class_names

    def description(self) -> str:
        """Sentence for reports."""
        evaluator = self.recipe.accuracy.evaluator
        what = "Accuracy" if evaluator is None else f"Score by {evaluator}"
        return (
            f"{what} on {self.n_test():,} test images of {self.dataset().name}, which the search "
            f"never saw{self.inputs.origin()}"
        )

    def remarks(self) -> tuple[str, ...]:
        """Sentences on files of weights, and on what could not be evaluated."""
        return (*self.inputs.remarks(), *super().remarks())

    def dataset(self) -> Dataset:
        """The data set that the recipe names."""
        return self.inputs.dataset()

    def zero_cost(self, progress: Progress) -> ZeroCostFeatures | None:
        """Scores of untrained networks on one batch of training images, if they are wanted."""
        functions = self._scores
        if not functions:
            return None
        images, seed = self.dataset().train, self.recipe.seed
        drawn = np.random.default_rng(seed).permutation(len(images.labels))[:_SCORED]
        batch = inputs(images, drawn).numpy()
        device = self.inputs.compute.torch_device
        at = "cpu" if device.type == "mps" else str(device)  # some need float64
        labels = images.labels[drawn]
        return ZeroCostFeatures(self.space, batch, labels, functions, seed, progress, at)

    @cached_property
    def _scores(self) -> dict[str, ZeroCost]:
        return zero_cost_scores_of(self.recipe.accuracy.zero_cost, self.home)
