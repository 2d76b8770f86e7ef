"""Accuracies of networks that are truly evaluated, and what is predicted from them."""

import socket
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from tailorbird.errors import EncodingError, EvaluationError, RecipeError, in_a_line, raising
from tailorbird.pipeline.accuracy_sources.participation import Participation, take_part
from tailorbird.pipeline.own_code.accuracy_predictor import (
    accuracy_predictor_of,
    try_accuracy_predictor,
)
from tailorbird.pipeline.run_folder import LOG
from tailorbird.predictors import AccuracyInputs, Learner, Predictor
from tailorbird.predictors.accuracy.evaluated_samples import FEWEST
from tailorbird.predictors.accuracy.zero_cost import ZeroCostFeatures
from tailorbird.predictors.regressors import MOST_IN_PAIRS
from tailorbird.progress import Progress
from tailorbird.recipe import Recipe
from tailorbird.registry.accuracy_predictors import entry_of
from tailorbird.registry.python_paths import is_path
from tailorbird.search.algorithms.guided.history import same_for_all
from tailorbird.search.algorithms.initial_design import spread_over
from tailorbird.search.evaluation.executors import CHUNK, Evaluator, Executor, InProcess
from tailorbird.search.evaluation.prior_evaluations import read, read_study
from tailorbird.search.evaluation.ray_actors import RayCluster
from tailorbird.search.evaluation.shown_study import Costs
from tailorbird.search.evaluation.study import Study
from tailorbird.search.evaluation.worker import PROCESSES, Place
from tailorbird.search.evaluation.worker_pool import Workers
from tailorbird.spaces import FloatArray, IntArray, SearchSpace
from tailorbird.storage import atomic
from tailorbird.storage.foreign import bounded_file

_LONGEST_NAME = 1_000  # bytes


@dataclass(frozen=True)
class EvaluatedAccuracy(ABC):
    """Base of the sources that evaluate networks themselves; a study remembers each of them.

    Attributes:
        recipe: what was asked for.
        home: folder of the recipe, in which the user's own modules are looked for.
        space: that the recipe names.
        folder: of the run.
        url: of the database that remembers evaluations; a call, since opening it may fail.
    """

    recipe: Recipe
    home: Path
    space: SearchSpace
    folder: Path
    url: Callable[[], str]

    @property
    def rows_at_once(self) -> int:
        """Networks that are evaluated together, which a kill may lose."""
        return CHUNK

    @abstractmethod
    def evaluator(self, split: str) -> Evaluator:
        """What evaluates networks on a split, in any process."""

    @abstractmethod
    def study_name(self, split: str) -> str:
        """Name that the study of a split has wherever its values would be the same."""

    @property
    @abstractmethod
    def measure(self) -> str:
        """What the values are, as the study knows it."""

    def basis(self) -> str:
        """Name of the study of values for reports."""
        return self.study_name("test")

    @abstractmethod
    def n_validation(self) -> int | None:
        """Images behind an accuracy that the search may know; None if that is not known."""

    def zero_cost(self, progress: Progress) -> ZeroCostFeatures | None:
        """Scores of untrained networks, if they are wanted."""
        return None

    def check_evaluations(self) -> None:
        """Refuses workers, predictors and numbers of evaluations that cannot work."""
        n = min(self.recipe.accuracy.evaluations, self.space.size) + len(self.earlier()[0])
        if entry_of(self.recipe.predictor).compares_pairs and n > MOST_IN_PAIRS:
            raise RecipeError(
                f"[accuracy] predictor = {self.recipe.predictor!r} learns from at most "
                f"{MOST_IN_PAIRS:,} networks, but evaluations and earlier ones are {n:,}. Take "
                'fewer, or another predictor, such as "ridge" or "forest".'
            )
        self._check_workers()

    def try_predictor(self) -> None:
        """Tries a predictor of the user's own, on few networks."""
        if is_path(self.recipe.predictor):
            make = accuracy_predictor_of(self.recipe.predictor, self.home)
            must_add_up = self.recipe.search.entry.is_single
            try_accuracy_predictor(make, AccuracyInputs(self.space), must_add_up=must_add_up)

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
            self.zero_cost(progress),
        )
        return accuracy_predictor_of(self.recipe.predictor, self.home)(inputs)

    def validation(self, X: IntArray, progress: Progress) -> FloatArray:
        """Accuracies on images that only the search sees; NaN for what cannot be evaluated."""
        return self.remembered("validation", X, progress)

    def evaluations(self) -> Self:
        """Itself: networks are evaluated as they are asked for."""
        return self

    def take_part(self, idle_s: float, progress: Progress) -> Participation:
        """Evaluates what others ask for, who evaluate by this recipe, until they have ended.

        Args:
            idle_s: after so many seconds in which nobody asked for anything it ends as well.
            progress: where it reports to.

        Raises:
            EvaluationError: if nothing that was tried could be evaluated here.
        """
        return take_part(self, idle_s, progress)

    def images(self, n: int) -> NDArray[np.float32] | None:
        """None: nobody has any."""
        return None

    def anchors_alone(self, progress: Progress) -> FloatArray | None:
        """None: nothing is stitched."""
        return None

    def show(self, costs: Callable[[], Costs]) -> None:
        """Has dashboards show what is evaluated for the search from now on."""
        shown = costs()
        name = f"{self.recipe.name} on {shown.device} ({self._owner()})"
        self.study("validation").show(name, shown)

    def end(self) -> None:
        """Says to those who take part that nothing more is asked for."""
        for study in self.studies.values():
            study.complete()

    def remarks(self) -> tuple[str, ...]:
        """Sentences on what could not be evaluated."""
        return tuple(
            f"{len(study.failures)} networks could not be evaluated on {split} images "
            f"(first: {self.space.describe(np.array(row))}: {reason.rstrip('.')})."
            for split, study in self.studies.items()
            for row, reason in [*study.failures.items()][:1]
        )

    def remembered(self, split: str, X: IntArray, progress: Progress) -> FloatArray:
        """Accuracies (n,) of canonical rows (n, d) on a split, of which failures are logged."""
        before = {*self.study(split).failures}
        y = self.evaluated(split, X, progress)
        failed = [row for row in self.study(split).failures if row not in before]
        if failed:
            LOG.warning(
                "%d of %d networks could not be evaluated (first: %s: %s)",
                len(failed),
                len(X),
                self.space.describe(np.array(failed[0])),
                self.study(split).failures[failed[0]],
            )
        return y

    def evaluated(self, split: str, X: IntArray, progress: Progress) -> FloatArray:
        """Accuracies (n,) of canonical rows (n, d) on a split; only new ones are evaluated."""
        return self.study(split).evaluate(X, self.executor(split), progress)

    def study(self, split: str) -> Study:
        """The study of a split, opened at its first use."""
        if split not in self.studies:
            self.studies[split] = self._study(split)
        return self.studies[split]

    @cached_property
    def studies(self) -> dict[str, Study]:
        """Studies of this run, by split; they know what failed in it."""
        return {}

    def _study(self, split: str) -> Study:
        study = Study(
            self.url(),
            self.study_name(split),
            self.space,
            evaluator=self.measure,
            owner=self._owner(),
        )
        path = self.recipe.accuracy.earlier
        if path is not None and split == "validation":
            LOG.info("%d evaluations are from %s", study.add(*self.earlier(), path), path)
        return study

    def _owner(self) -> str:
        """Owner of trials: the folder of the run, since one process at a time works in it."""
        file = self.folder / "owner"
        if not file.exists():
            atomic.write(file, f"{socket.gethostname()}-{uuid.uuid4().hex[:8]}")
        content = bounded_file.read(file, _LONGEST_NAME, "The owner of a run's trials")
        return content.decode(errors="replace")

    def executor(self, split: str) -> Executor:
        """Runs the evaluator of a split, here or in workers."""
        asked = self.recipe.accuracy
        if not self._has_workers:
            return InProcess(self.evaluator(split), self.rows_at_once)
        for other in self._workers.keys() - {split}:
            self._workers.pop(other).close()  # each holds the images in memory
        if split not in self._workers:
            timeout_s = asked.evaluation_timeout_seconds
            self._workers[split] = Workers(
                self._sent(split), asked.workers, timeout_s, self.rows_at_once, self._place
            )
        return self._workers[split]

    @property
    def _has_workers(self) -> bool:
        asked = self.recipe.accuracy
        is_elsewhere = asked.cluster is not None
        return asked.workers > 1 or asked.evaluation_timeout_seconds is not None or is_elsewhere

    def check_place(self) -> None:
        """Refuses a cluster that is not there."""
        self._place  # noqa: B018  # it is joined once

    @cached_property
    def _place(self) -> Place:
        """Where workers are."""
        asked = self.recipe.accuracy
        if asked.cluster is None:
            return PROCESSES
        return RayCluster(asked.cluster, asked.worker_gpus)

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
        accuracy: what they evaluate with.
        split: `validation`, `test`, or another that the source knows.
    """

    accuracy: EvaluatedAccuracy
    split: str

    def __call__(self) -> Evaluator:
        """Evaluator of the split."""
        return self.accuracy.evaluator(self.split)
