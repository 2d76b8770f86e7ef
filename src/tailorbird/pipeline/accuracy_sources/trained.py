"""Accuracies of networks that are trained here."""

import socket
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import torch
from torch import nn

from tailorbird.errors import (
    EncodingError,
    EvaluationError,
    MissingStepError,
    RecipeError,
    in_a_line,
    raising,
)
from tailorbird.pipeline.accuracy_sources.training_inputs import TrainingInputs
from tailorbird.pipeline.opened_recipe import OpenedRecipe
from tailorbird.pipeline.own_code.accuracy_predictor import (
    accuracy_predictor_of,
    try_accuracy_predictor,
)
from tailorbird.pipeline.own_code.zero_cost_score import zero_cost_scores_of
from tailorbird.pipeline.run_folder import LOG
from tailorbird.predictors import AccuracyInputs, Learner, Predictor
from tailorbird.predictors.accuracy.evaluated_samples import FEWEST
from tailorbird.predictors.accuracy.zero_cost import ZeroCost, ZeroCostFeatures
from tailorbird.predictors.regressors import MOST_IN_PAIRS
from tailorbird.progress import NoProgress, Progress
from tailorbird.recipe import Recipe
from tailorbird.registry.accuracy_predictors import entry_of
from tailorbird.registry.python_paths import is_path
from tailorbird.search.algorithms.guided.history import same_for_all
from tailorbird.search.algorithms.initial_design import spread_over
from tailorbird.search.evaluation.executors import Evaluator, Executor, InProcess
from tailorbird.search.evaluation.prior_evaluations import read, read_study
from tailorbird.search.evaluation.study import Study
from tailorbird.search.evaluation.worker_pool import Workers
from tailorbird.spaces import FloatArray, IntArray, SearchSpace
from tailorbird.spaces.stitching import StitchSpace
from tailorbird.storage import atomic
from tailorbird.storage.foreign import bounded_file
from tailorbird.training import Dataset, Trained, load, train

_SCORED = 32  # images that zero-cost scores see
_LONGEST_NAME = 1_000  # bytes


def opened(asked: OpenedRecipe) -> "TrainedAccuracy":
    """Opens the source of a recipe that no other kind of source is for.

    Raises:
        EncodingError: if earlier evaluations that it names do not fit its space.
    """
    weights, url = asked.database.folder / "weights", asked.database.checked_url
    source = TrainedAccuracy(asked.recipe, asked.home, asked.space, weights, url)
    source.earlier()  # whatever command goes on from here, before it measures or trains
    return source


@dataclass(frozen=True)
class TrainedAccuracy:
    """Accuracies of networks that are trained here.

    Attributes:
        recipe: what was asked for.
        home: folder of the recipe, in which the user's own modules are looked for.
        space: that the recipe names.
        weights: folder for them.
        url: of the database that remembers evaluations; a call, since opening it may fail.
    """

    recipe: Recipe
    home: Path
    space: SearchSpace
    weights: Path
    url: Callable[[], str]

    step: ClassVar = "train"
    runs_networks: ClassVar = True

    def check(self) -> None:
        """Refuses data, code, weights or earlier evaluations that do not fit; once is enough."""
        _ = self._checked

    @cached_property
    def _checked(self) -> None:
        self._check_number()
        self._check_workers()
        self.inputs.check(self.weights)
        self._try_own_code()

    def _try_own_code(self) -> None:
        """Tries a predictor and scores of the user's own, on few networks."""
        scores = self._zero_cost(NoProgress())
        if scores is not None and any(map(is_path, scores.functions)):
            scores(self.space.landmarks[:1])
        if is_path(self.recipe.predictor):
            make = accuracy_predictor_of(self.recipe.predictor, self.home)
            must_add_up = self.recipe.search.entry.is_single
            try_accuracy_predictor(make, AccuracyInputs(self.space), must_add_up=must_add_up)

    def _check_number(self) -> None:
        """Refuses more evaluations than the predictor can learn from."""
        n = min(self.recipe.accuracy.evaluations, self.space.size) + len(self.earlier()[0])
        if entry_of(self.recipe.predictor).compares_pairs and n > MOST_IN_PAIRS:
            raise RecipeError(
                f"[accuracy] predictor = {self.recipe.predictor!r} learns from at most "
                f"{MOST_IN_PAIRS:,} networks, but evaluations and earlier ones are {n:,}. Take "
                'fewer, or another predictor, such as "ridge" or "forest".'
            )

    def _check_workers(self) -> None:
        """Refuses an evaluator that cannot be sent to workers, if there are any."""
        if not self._has_workers:
            return
        with raising(
            lambda error: RecipeError(
                "What evaluates networks must be picklable to reach [accuracy] workers, and those "
                f"of evaluation_timeout_seconds ({in_a_line(error)}). Define classes of your space "
                "at the top of a module, and keep what is open, locked or local out of them."
            )
        ):
            ForkingPickler.dumps(self._sent("validation"))

    @cached_property
    def inputs(self) -> TrainingInputs:
        """Data, score, teacher and weights of the training.

        Raises:
            RecipeError: if the space is none that can be trained.
        """
        if not isinstance(self.space, StitchSpace):
            raise RecipeError(
                f"There is no training for {self.space.name}; its latencies can be had with "
                "`tailorbird profile RECIPE`."
            )
        return TrainingInputs(self.recipe, self.home, self.space)

    def obtain(self, progress: Progress) -> None:
        """Trains, or loads what was trained."""
        self.train(progress)

    def train(self, progress: Progress) -> Trained:
        """Trains, or loads what was trained."""
        self.check()
        made = self.inputs
        for remark in made.remarks():
            LOG.warning("%s", remark)
        return train(
            made.space,
            made.dataset(),
            made.settings(),
            self.weights,
            progress,
            teacher=made.teacher(),
            score=made.score(),
        )

    def trained(self) -> Trained:
        """The trained networks.

        Raises:
            MissingStepError: if it was not.
        """
        return self._trained

    @cached_property
    def _trained(self) -> Trained:
        made = self.inputs
        found = load(made.space, made.dataset(), made.settings(), self.weights, made.score())
        if found is None:
            raise MissingStepError(
                f"There are no weights for this recipe in {str(self.weights)!r}. "
                "Make them with `tailorbird train RECIPE`."
            )
        return found

    def earlier(self) -> tuple[IntArray, FloatArray]:
        """Canonical rows (n, d) that were evaluated before this recipe was, and accuracies (n,).

        Raises:
            EncodingError: if they cannot be read, or do not fit the space.
        """
        return self._earlier

    @cached_property
    def _earlier(self) -> tuple[IntArray, FloatArray]:
        path = self.recipe.accuracy.earlier
        if path is None:
            return np.empty((0, len(self.space.variables)), dtype=np.int64), np.empty(0)
        try:
            if "://" in path:
                url, _, name = path.partition("#")
                return read_study(url, name, self.space)
            return read(self.home / path, self.space)
        except EncodingError as error:
            raise EncodingError(f"[accuracy] earlier: {error}") from error

    def predictor(self, latency: Predictor, progress: Progress) -> Predictor:
        """The fitted predictor of the recipe, from networks whose latencies cover their range.

        What was evaluated earlier is learned from as well.

        Raises:
            EvaluationError: if hardly any network could be evaluated.
        """
        rng = np.random.default_rng(self.recipe.seed)
        X = spread_over(latency, self.space, self.recipe.accuracy.evaluations, rng)
        X = np.unique(np.vstack([X, self.earlier()[0]]), axis=0)
        y = self.validation(X, progress)
        known = np.isfinite(y)
        if known.sum() < FEWEST:
            raise EvaluationError(
                f"At least {FEWEST} networks must be evaluated to predict the accuracy of others, "
                f"but of {len(X)} only {known.sum()} could be. {' '.join(self.remarks())} "
                "Mend what fails there, and run again."
            )
        if (y[known] == y[known][0]).all():
            raise EvaluationError(same_for_all(int(known.sum()), y[known][0]))
        if not known.all():
            LOG.warning("%d of %d networks teach nothing", (~known).sum(), len(X))
        return self.learner(progress, self.n_validation()).fit(X[known], y[known])

    def learner(self, progress: Progress, n_images: int | None) -> Learner:
        """The predictor that the recipe names, before it has learned anything.

        Args:
            progress: where zero-cost scores report to.
            n_images: how few the validation images are is in its stds; None to predict what these
                very images would tell, as a search does that evaluates on them.
        """
        inputs = AccuracyInputs(
            self.space,
            n_images,
            self.recipe.accuracy.predictor_seconds,
            self._zero_cost(progress),
        )
        return accuracy_predictor_of(self.recipe.predictor, self.home)(inputs)

    def validation(self, X: IntArray, progress: Progress) -> FloatArray:
        """Accuracies on images that only the search sees; NaN for what cannot be evaluated."""
        return self._remembered("validation", X, progress)

    def test(self, X: IntArray, progress: Progress) -> FloatArray:
        """Accuracies on images that only reports see; NaN for what cannot be evaluated."""
        return self._remembered("test", X, progress)

    def network(self, row: IntArray) -> nn.Module:
        """The network of a canonical row, with its trained weights."""
        return self.trained().extract(row)

    def trained_networks(self) -> Callable[[IntArray], nn.Module]:
        """Returns `network`; weights are loaded when it is first called."""
        return self.network

    def evaluations(self) -> Self:
        """Itself: networks are evaluated as they are asked for."""
        return self

    def fingerprint(self) -> str:
        """Fingerprint of the trained weights."""
        return self.trained().fingerprint

    def n_validation(self) -> int:
        """Images that only the search sees."""
        return len(self.dataset().validation.labels)

    def n_test(self) -> int:
        """Images that only reports see."""
        return len(self.dataset().test.labels)

    def description(self) -> str:
        """Sentence for reports."""
        evaluator = self.recipe.accuracy.evaluator
        what = "Accuracy" if evaluator is None else f"Score by {evaluator}"
        return (
            f"{what} on {self.n_test():,} test images of {self.dataset().name}, which the search "
            "never saw"
        )

    def remarks(self) -> tuple[str, ...]:
        """Sentences on files of weights, and on what could not be evaluated."""
        found = [*self.inputs.remarks()]
        for split, study in self._studies.items():
            if study.failures:
                row, reason = next(iter(study.failures.items()))
                found.append(
                    f"{len(study.failures)} networks could not be evaluated on {split} images "
                    f"(first: {self.space.describe(np.array(row))}: {reason})."
                )
        return tuple(found)

    def dataset(self) -> Dataset:
        """The data set that the recipe names."""
        return self.inputs.dataset()

    def _zero_cost(self, progress: Progress) -> ZeroCostFeatures | None:
        """Scores of untrained networks on one batch of training images, if they are wanted."""
        functions = self._scores
        if not functions:
            return None
        images, seed = self.dataset().train, self.recipe.seed
        drawn = np.random.default_rng(seed).permutation(len(images.labels))[:_SCORED]
        batch = images.batch(drawn).numpy()
        return ZeroCostFeatures(self.space, batch, images.labels[drawn], functions, seed, progress)

    @cached_property
    def _scores(self) -> dict[str, ZeroCost]:
        return zero_cost_scores_of(self.recipe.accuracy.zero_cost, self.home)

    def _remembered(self, split: str, X: IntArray, progress: Progress) -> FloatArray:
        if split not in self._studies:
            self._studies[split] = self._study(split)
        return self._studies[split].evaluate(X, self._executor(split), progress)

    @cached_property
    def _studies(self) -> dict[str, Study]:
        """Studies of this run, by split; they know what failed in it."""
        return {}

    def _study(self, split: str) -> Study:
        by, of = self.recipe.accuracy.evaluator or "accuracy", self.dataset().fingerprint
        name = f"{of}/{split}/{by}/{self.space.name}@{self.trained().fingerprint}"
        study = Study(self.url(), name, self.space, evaluator=by, owner=self._owner())
        path = self.recipe.accuracy.earlier
        if path is not None and split == "validation":
            LOG.info("%d evaluations are from %s", study.add(*self.earlier(), path), path)
        return study

    def _owner(self) -> str:
        """Owner of trials: the folder of the run, since one process at a time works in it."""
        file = self.weights.parent / "owner"
        if not file.exists():
            atomic.write(file, f"{socket.gethostname()}-{uuid.uuid4().hex[:8]}")
        content = bounded_file.read(file, _LONGEST_NAME, "The owner of a run's trials")
        return content.decode(errors="replace")

    def _executor(self, split: str) -> Executor:
        asked = self.recipe.accuracy
        if not self._has_workers:
            return InProcess(OnSplit(self, split)())
        for other in self._workers.keys() - {split}:
            self._workers.pop(other).close()  # each holds the images in memory
        if split not in self._workers:
            timeout_s = asked.evaluation_timeout_seconds
            self._workers[split] = Workers(self._sent(split), asked.workers, timeout_s)
        return self._workers[split]

    @property
    def _has_workers(self) -> bool:
        asked = self.recipe.accuracy
        return asked.workers > 1 or asked.evaluation_timeout_seconds is not None

    def _sent(self, split: str) -> "OnSplit":
        """Evaluator for workers, none of which opens the database."""
        return OnSplit(replace(self, url=str), split)

    @cached_property
    def _workers(self) -> dict[str, Workers]:
        """Workers of the split that is evaluated on."""
        return {}


@dataclass(frozen=True, slots=True)
class OnSplit:
    """Makes evaluators in any process.

    Attributes:
        accuracy: whose weights and images they use.
        split: `validation` or `test`.
    """

    accuracy: TrainedAccuracy
    split: str

    def __call__(self) -> Evaluator:
        """Evaluator on one thread, so that values do not depend on the number of threads."""
        trained, images = self.accuracy.trained(), getattr(self.accuracy.dataset(), self.split)

        def evaluate(X: IntArray) -> FloatArray:
            n_threads = torch.get_num_threads()
            torch.set_num_threads(1)
            try:
                return trained.evaluate(X, images)
            finally:
                torch.set_num_threads(n_threads)

        return evaluate
