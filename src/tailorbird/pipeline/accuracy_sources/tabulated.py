"""Accuracies that others measured and wrote down, and what is predicted from them."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, NoReturn

import numpy as np

from tailorbird.errors import RecipeError
from tailorbird.latency_tables.program import seeded
from tailorbird.pipeline.accuracy_sources.source import nothing_to_finetune
from tailorbird.pipeline.own_code.accuracy_predictor import MakeLearner, try_accuracy_predictor
from tailorbird.pipeline.planned_work import PlannedWork
from tailorbird.predictors import AccuracyInputs, Additive, KnownAccuracy, Predictor
from tailorbird.predictors.accuracy.evaluated_samples import FEWEST
from tailorbird.predictors.metrics import accuracy_std
from tailorbird.progress import Progress
from tailorbird.recipe import AccuracySection
from tailorbird.registry.python_paths import is_path
from tailorbird.search.evaluation.shown_study import Costs
from tailorbird.spaces import FloatArray, IntArray, SearchSpace
from tailorbird.spaces.preprocessing import Preprocessing

if TYPE_CHECKING:
    from torch import nn

_LEARNED = 400  # networks that the predictor of the others learns from


@dataclass(frozen=True, slots=True, eq=False)
class AccuracyRows:
    """Networks with their accuracies.

    Attributes:
        X: canonical rows, each once, (n, d).
        y: accuracies as fractions, (n,).
        n_images: behind each; None if that is not known.
    """

    X: IntArray
    y: FloatArray
    n_images: int | None


@dataclass(frozen=True)
class TabulatedAccuracy(ABC):
    """Base of the sources of accuracies that are all there; there are no weights here.

    Attributes:
        space: that the recipe names.
        asked: how accuracies of other networks are predicted.
        seed: of the draw of networks that are learned from.
        make: the predictor that the recipe names.
        must_add_up: True if the search needs an `Additive` one.
    """

    space: SearchSpace
    asked: AccuracySection
    seed: int
    make: MakeLearner
    must_add_up: bool

    runs_networks: ClassVar = False

    @abstractmethod
    def read(self) -> AccuracyRows:
        """Reads the table.

        Raises:
            RecipeError: if there is none, or it does not fit the space.
        """

    @property
    @abstractmethod
    def named(self) -> str:
        """The table, for messages."""

    @abstractmethod
    def description(self) -> str:
        """Sentence for reports."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Stands for weights that are not here."""

    def preprocessing(self) -> Preprocessing | None:
        """None: nobody says how pictures became images."""
        return None

    def class_names(self) -> tuple[str, ...]:
        """Returns none: nobody says what logits are for."""
        return ()

    def basis(self) -> str:
        """Says which table it is."""
        return self.named

    @abstractmethod
    def trained_networks(self) -> "Callable[[IntArray], nn.Module]":
        """Networks to export, if there are any."""

    @property
    def step(self) -> str:
        """What reading it is called in logs and summaries."""
        return self.fingerprint()

    @cached_property
    def table(self) -> AccuracyRows:
        """The networks of the table.

        Raises:
            RecipeError: if there are none, or too few to learn from.
        """
        table = self.read()
        self._refuse_too_few(table.y)
        return table

    def _refuse_too_few(self, y: FloatArray) -> None:
        learned = y[self._drawn(len(y))]
        if len(learned) < FEWEST or np.ptp(learned) == 0:
            alike = f", all of {learned[0]:.2%}" if len(learned) >= FEWEST else ""
            raise RecipeError(
                f"Accuracies of other networks are predicted from at least {FEWEST} in a table "
                f"that differ, but {self.named} has {len(learned)} for {self.space.name}{alike}. "
                "Take a table with more."
            )

    def _drawn(self, n: int) -> IntArray:
        """Places of those among n networks that the predictor of others learns from."""
        return np.random.default_rng(self.seed).permutation(n)[:_LEARNED]

    def remarks(self) -> tuple[str, ...]:
        """Empty: what was measured elsewhere is as it is."""
        return ()

    def n_validation(self) -> int | None:
        """Images behind each accuracy; None if that is not known."""
        return self.table.n_images

    def n_test(self) -> int | None:
        """Images behind an accuracy in reports: the same ones."""
        return self.n_validation()

    def check(self, progress: Progress) -> None:
        """Refuses a table that does not fit, or has too little to learn from."""
        _ = self.table
        if is_path(self.asked.predictor):
            try_accuracy_predictor(self.make, self._inputs, must_add_up=self.must_add_up)

    def predictor(self, latency: Predictor, progress: Progress) -> Predictor:
        """The table's accuracies; a predictor learned from some of them for networks without one.

        An additive one is learned from all and stands alone, or it would not add up.
        """
        table = self.table
        learner = self.make(self._inputs)
        if isinstance(learner, Additive):
            return learner.fit(table.X, table.y)
        drawn = self._drawn(len(table.y))
        others = learner.fit(table.X[drawn], table.y[drawn])
        std = np.nan_to_num(accuracy_std(table.y, table.n_images))  # exact if nobody knows
        return KnownAccuracy(table.X, table.y, std, others)

    @property
    def _inputs(self) -> AccuracyInputs:
        return AccuracyInputs(self.space, self.table.n_images, self.asked.predictor_seconds)

    def validation(self, X: IntArray, progress: Progress) -> FloatArray:
        """Accuracies as the table has them; NaN for networks that it lacks."""
        table = self.table
        known = dict(zip(map(tuple, table.X.tolist()), table.y, strict=True))
        return np.array([known.get(tuple(row), np.nan) for row in X.tolist()])

    def test(self, X: IntArray, progress: Progress) -> FloatArray:
        """The same accuracies again: there are no others."""
        return self.validation(X, progress)

    def network(self, row: IntArray) -> "nn.Module":
        """Network with fresh weights: latency does not depend on them."""
        with seeded():
            return self.space.build(row)

    def obtain(self, progress: Progress) -> None:
        """Reads the table; there is nothing to train."""
        self.check(progress)

    def images(self, n: int) -> None:
        """None: nobody has any."""
        return

    def anchors_alone(self, progress: Progress) -> None:
        """None: nobody knows."""
        return

    def finetuner(self) -> NoReturn:
        """Refuses: nothing is trained."""
        raise nothing_to_finetune(f"those of {self.named}")

    def train(self, progress: Progress) -> NoReturn:
        """Refuses: nothing is trained."""
        raise RecipeError(
            f"The accuracies of this recipe are {self.fingerprint()}: nothing is trained. "
            "Go on with `tailorbird run RECIPE`."
        )

    def show(self, costs: Callable[[], Costs]) -> None:  # noqa: B027  # not every source has anything to show
        """Does nothing: nothing is evaluated."""

    def end(self) -> None:  # noqa: B027  # not every source has to say anything
        """Does nothing: nobody takes part in evaluations."""

    def planned(self, n_networks: int) -> tuple[PlannedWork, ...]:
        """Nothing is left to evaluate."""
        what = f"nothing: accuracies are those of {self.named}"
        return (PlannedWork("evaluate", what, 0.0),)

    def evaluations(self) -> NoReturn:
        """Refuses: all that is known is in the table."""
        raise RecipeError(
            "Accuracies of a table cannot be evaluated anew, neither by a guided search nor by "
            '`tailorbird evaluate RECIPE`. Write [search] algorithm = "exact" or "nsga2", and run '
            "it alone."
        )
