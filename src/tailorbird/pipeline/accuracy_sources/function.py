"""Accuracies that a function of the user's own gives."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import numpy as np

from tailorbird.errors import RecipeError
from tailorbird.latency_tables.program import seeded
from tailorbird.pipeline.accuracy_sources.evaluated import EvaluatedAccuracy
from tailorbird.pipeline.accuracy_sources.source import UNTRAINED, nothing_to_finetune
from tailorbird.pipeline.opened_recipe import OpenedRecipe
from tailorbird.pipeline.own_code.accuracy_function import KINDS
from tailorbird.pipeline.own_code.program_text import digest
from tailorbird.pipeline.planned_work import PlannedWork
from tailorbird.pipeline.python_path import resolve, take_over, users_places
from tailorbird.pipeline.run_folder import LOG
from tailorbird.progress import Progress
from tailorbird.search.evaluation.executors import Evaluator
from tailorbird.spaces import FloatArray, IntArray
from tailorbird.spaces.preprocessing import Preprocessing

if TYPE_CHECKING:
    from torch import nn

_MOST_TRIED = 3  # reference architectures, until one has an accuracy


def opened(asked: OpenedRecipe) -> "FunctionAccuracy | None":
    """The source of a recipe that names a function; None of another one.

    Raises:
        RecipeError: if the function cannot be imported.
        EncodingError: if earlier evaluations do not fit the space.
    """
    key = next((key for key in KINDS if getattr(asked.recipe.accuracy, key) is not None), None)
    if key is None:
        return None
    database = asked.database
    path = str(getattr(asked.recipe.accuracy, key))
    text = digest(path, resolve(path, asked.home, f"[accuracy] {key}"))
    source = FunctionAccuracy(
        asked.recipe,
        asked.home,
        asked.space,
        database.folder,
        database.checked_url,
        key=key,
        text=text,
        networks=_digest(asked),
        places=users_places(),
    )
    source.earlier()  # whatever command goes on from here, before it measures
    return source


@dataclass(frozen=True, kw_only=True)
class FunctionAccuracy(EvaluatedAccuracy):
    """Accuracies that a user's function gives; weights, if there are any, are its own affair.

    Attributes:
        key: of the recipe, that names it: `function` or `batch_function`.
        text: digest of the function's program text when the recipe was opened.
        networks: digest of the space.
        places: of users' files, by which the text was told from that of packages.
    """

    key: str
    text: str
    networks: str
    places: tuple[frozenset[str], frozenset[str]]

    step: ClassVar = "function"
    runs_networks: ClassVar = False

    @cached_property
    def function(self) -> Callable[..., Any]:
        """The user's function.

        Raises:
            RecipeError: if it cannot be imported.
        """
        return resolve(self._path, self.home, f"[accuracy] {self.key}")

    @property
    def _path(self) -> str:
        return str(getattr(self.recipe.accuracy, self.key))

    @property
    def rows_at_once(self) -> int:
        """Networks that one call of the function evaluates."""
        return KINDS[self.key].most_at_once

    def check(self, progress: Progress) -> None:
        """Refuses a function that gives no accuracy; what it gives is remembered."""
        self.check_evaluations()
        self.try_predictor()
        self._try_function(progress)

    def planned(self, n_networks: int) -> tuple[PlannedWork, ...]:
        """Networks that the function evaluates; it alone knows how long."""
        n = min(self.recipe.accuracy.evaluations, self.space.size)
        return (PlannedWork("evaluate", f"up to {n:,} networks by {self._path}"),)

    def obtain(self, progress: Progress) -> None:
        """Tries the function; there is nothing to train."""
        self.check(progress)

    def _try_function(self, progress: Progress) -> None:
        """Evaluates a reference architecture; another one if that fails.

        Raises:
            RecipeError: if none of them has an accuracy.
        """
        tried = np.unique(self.space.landmarks, axis=0)[:_MOST_TRIED]
        for row in tried:
            if np.isfinite(self.evaluated("validation", row[None], progress)).all():
                return
        reason = self.study("validation").failures[tuple(tried[0].tolist())].rstrip(".")
        raise RecipeError(
            f"[accuracy] {self.key} must give accuracies, but gave none for the {len(tried)} "
            f"networks that it was tried on (first: {self.space.describe(tried[0])}: {reason})."
        )

    def evaluator(self, split: str) -> Evaluator:
        """Evaluates by the function.

        Raises:
            RecipeError: if its text has changed since; workers import it anew.
        """
        take_over(self.places)
        if digest(self._path, self.function) != self.text:
            raise RecipeError(
                f"[accuracy] {self.key} must stay as it is during a run, but the text of "
                f"{self._path!r}, or of what it uses, has changed. Run again."
            )
        evaluator: Evaluator = KINDS[self.key](self.space, self.function, self._path)
        return evaluator

    def study_name(self, split: str) -> str:
        """Name with the function, its program text, and the space with all that makes it."""
        return f"{self._path}@{self.text}/{self.space.name}@{self.networks}"

    @property
    def measure(self) -> str:
        """Python path of the function."""
        return self._path

    def test(self, X: IntArray, progress: Progress) -> FloatArray:
        """The same accuracies again: there are no others."""
        return self.validation(X, progress)

    def network(self, row: IntArray) -> "nn.Module":
        """Network as the space builds it: latency does not depend on weights."""
        with seeded():
            return self.space.build(row)

    def trained_networks(self) -> "Callable[[IntArray], nn.Module]":
        """Networks as the space builds them; a warning says that nothing was trained."""
        LOG.warning(UNTRAINED)
        return self.network

    def preprocessing(self) -> Preprocessing | None:
        """None: nobody says how pictures became images."""
        return None

    def class_names(self) -> tuple[str, ...]:
        """Returns none: nobody says what logits are for."""
        return ()

    def fingerprint(self) -> str:
        """`function`, in the place of weights."""
        return "function"

    def n_validation(self) -> int | None:
        """Images behind an accuracy, if the recipe says."""
        return self.recipe.accuracy.n_images

    def n_test(self) -> int | None:
        """Images behind an accuracy in reports: the same ones."""
        return self.n_validation()

    def description(self) -> str:
        """Sentence for reports."""
        return f"Accuracy by {self._path}; the search saw the same figures"

    def finetuner(self) -> NoReturn:
        """Refuses: nothing is trained."""
        raise nothing_to_finetune(f"those of {self._path}")

    def train(self, progress: Progress) -> NoReturn:
        """Refuses: nothing is trained here."""
        raise RecipeError(
            f"The accuracies of this recipe are those of {self._path}: nothing is trained here. Go "
            "on with `tailorbird run RECIPE`."
        )


def _digest(asked: OpenedRecipe) -> str:
    """Eight digits that change with the choices of a space, its modules, text and settings."""
    space = asked.space
    parts: list[object] = [
        [(variable.name, variable.choices) for variable in space.variables],
        [workload.key for workload in space.workloads if workload.digest],
    ]
    for own in asked.recipe.space.tables:
        if own.module is None:  # named ones have settings in their names
            continue
        make = resolve(own.module, asked.home, "[space] module")
        parts += [own.module, digest(own.module, make), sorted(own.settings.items())]
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:8]
