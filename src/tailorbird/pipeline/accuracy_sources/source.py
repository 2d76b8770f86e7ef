"""Protocols of accuracy sources: what a run asks of the accuracies of its networks."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from tailorbird.errors import RecipeError
from tailorbird.pipeline.planned_work import PlannedWork
from tailorbird.predictors import Learner, Predictor
from tailorbird.progress import Progress
from tailorbird.search.evaluation.shown_study import Costs
from tailorbird.spaces import FloatArray, IntArray
from tailorbird.spaces.preprocessing import Preprocessing

if TYPE_CHECKING:
    from torch import nn

    from tailorbird.pipeline.accuracy_sources.finetuner import Finetuner
    from tailorbird.pipeline.accuracy_sources.participation import Participation
    from tailorbird.training import Trained


UNTRAINED = (
    "Nothing is trained for this recipe: a network is exported with the weights that its space "
    "builds it with, which are fresh unless your own code loads some."
)
"""Warning of sources that train nothing, where networks are exported."""


def nothing_to_finetune(accuracies: str) -> RecipeError:
    """Returns the error of sources that train nothing.

    Args:
        accuracies: what they are.
    """
    return RecipeError(
        f"There are no weights to finetune: accuracies of this recipe are {accuracies}, and "
        "nothing is trained. Name data to train on in [accuracy]."
    )


class Evaluations(Protocol):
    """True evaluations, for searches that spend them themselves."""

    def earlier(self) -> tuple[IntArray, FloatArray]:
        """Canonical rows (n, d) that were evaluated before, and their accuracies (n,)."""

    def n_validation(self) -> int | None:
        """Images behind an evaluation; None if that is not known."""

    def remarks(self) -> tuple[str, ...]:
        """Sentences on what could not be evaluated, and why."""

    def take_part(self, idle_s: float, progress: Progress) -> "Participation":
        """Evaluates what others ask for, who evaluate by the same recipe, until they have ended.

        Args:
            idle_s: after so many seconds in which nobody asked for anything it ends as well.
            progress: where it reports to.

        Raises:
            EvaluationError: if nothing that was tried could be evaluated here.
        """

    def learner(self, progress: Progress, n_images: int | None) -> Learner:
        """A predictor that has learned nothing yet.

        Args:
            progress: where it reports to.
            n_images: how few images there are is in its stds; None to predict what these very
                images would tell.
        """

    def validation(self, X: IntArray, progress: Progress) -> FloatArray:
        """Accuracies of canonical rows (n, d), (n,); NaN where one cannot be evaluated."""


class AccuracySource(Protocol):
    """Accuracies of the networks of one space."""

    @property
    def step(self) -> str:
        """Name of the step that `obtain` is, in logs and summaries."""

    @property
    def runs_networks(self) -> bool:
        """True if networks are trained and evaluated here."""

    def description(self) -> str:
        """Sentence for reports: what these accuracies are."""

    def fingerprint(self) -> str:
        """Fingerprint of the weights, which changes with any of them."""

    def basis(self) -> str:
        """Text that changes with whatever accuracies for reports rest on: data, score, weights."""

    def preprocessing(self) -> Preprocessing | None:
        """How pictures become images that networks take; None if nobody says."""

    def class_names(self) -> tuple[str, ...]:
        """Names of the classes that logits are for, in their order; none if nobody says."""

    def n_validation(self) -> int | None:
        """Images behind an accuracy that the search may know; None if that is not known."""

    def n_test(self) -> int | None:
        """Images behind an accuracy that is reported; None if that is not known."""

    def remarks(self) -> tuple[str, ...]:
        """Sentences that a reader of these accuracies must not miss."""

    def check(self, progress: Progress) -> None:
        """Refuses what cannot work, before hours of measuring."""

    def obtain(self, progress: Progress) -> None:
        """Obtains all that the other methods need, such as weights."""

    def train(self, progress: Progress) -> "Trained":
        """Trains the networks, or loads what was trained.

        Raises:
            RecipeError: if nothing is trained.
        """

    def planned(self, n_networks: int) -> tuple[PlannedWork, ...]:
        """What is left to train and evaluate, of which a little is done to tell how long it takes.

        Args:
            n_networks: that reports evaluate.
        """

    def evaluations(self) -> Evaluations:
        """True evaluations of any network.

        Raises:
            RecipeError: if there are none.
        """

    def show(self, costs: Callable[[], Costs]) -> None:
        """Has dashboards show what is evaluated for the search from now on, if anything is.

        Args:
            costs: what to show beside accuracies.
        """

    def end(self) -> None:
        """Says to those who take part in evaluations that nothing more is asked for."""

    def predictor(self, latency: Predictor, progress: Progress) -> Predictor:
        """A predictor that learned from some networks that were truly evaluated."""

    def validation(self, X: IntArray, progress: Progress) -> FloatArray:
        """Accuracies (n,) of canonical rows (n, d) that the search may know; NaN if unknown."""

    def test(self, X: IntArray, progress: Progress) -> FloatArray:
        """Accuracies (n,) of canonical rows (n, d) for reports; NaN if unknown."""

    def network(self, row: IntArray) -> "nn.Module":
        """The network of a canonical row, to be timed."""

    def images(self, n: int) -> NDArray[np.float32] | None:
        """Images for reports, (n, channels, height, width) or fewer; None if nobody has any."""

    def anchors_alone(self, progress: Progress) -> FloatArray | None:
        """Accuracies for reports of the space's landmarks, (k,), before they were stitched.

        None if nothing is stitched, or nobody knows.
        """

    def finetuner(self) -> "Finetuner":
        """What trains single networks on.

        Raises:
            RecipeError: if nothing is trained.
        """

    def trained_networks(self) -> "Callable[[IntArray], nn.Module]":
        """Returns a function from a canonical row to its network with trained weights.

        What it gives raises `MissingStepError` if nothing was trained yet.

        Raises:
            RecipeError: if nothing is trained at all.
        """
