"""Finetuning of one network of a run: trained on, compared, and checked on the device."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from torch import nn

from tailorbird.pipeline.accuracy_sources.finetuner import Finetuner
from tailorbird.pipeline.checking import Checker, Timer
from tailorbird.predictors import Prediction, Predictor
from tailorbird.progress import Progress
from tailorbird.spaces import FloatArray, IntArray, SearchSpace
from tailorbird.training import Dataset, Trained
from tailorbird.training.finetuning.difference import Difference, difference
from tailorbird.training.finetuning.train import Finetuned
from tailorbird.training.one_thread import one_thread


@dataclass(frozen=True, slots=True)
class FinetunedNetwork:
    """One network before and after it was trained on, and from scratch if that was done.

    Attributes:
        finetuner: that trained it.
        row: its canonical row, (d,).
        found: before and after.
        alone: from scratch; None if it was not trained so.
    """

    finetuner: Finetuner
    row: IntArray
    found: Finetuned
    alone: Trained | None

    def checked(
        self, space: SearchSpace, timer: Timer, latency: Predictor, progress: Progress
    ) -> pd.DataFrame:
        """One row: `COLUMNS` of a checked front, and what finetuning changed.

        Args:
            space: of the network.
            timer: times it.
            latency: predicts its latency.
            progress: where timing reports to.
        """
        accuracies = _Accuracies(self.found.after, self.row, self._data)
        checker = Checker(space, accuracies, timer)
        checked = checker.check(self.row[None], _Unpredicted(), latency, progress)
        network = checked.networks.assign(accuracy_predicted=np.nan, accuracy_std=np.nan)
        failure = "; ".join(checked.failures.values())
        return network.assign(**self._facts(), latency_failure=failure)

    def _facts(self) -> dict[str, str | float | None]:
        """Columns beside those of a checked front."""
        data, before = self._data, self.found.before
        with one_thread():
            validation, test = (
                float(before.evaluate(self.row[None], split)[0])
                for split in (data.validation, data.test)
            )
            gain = self._lead(self.found.after, before)
            lead = None if self.alone is None else self._lead(self.alone, self.found.after)
        epochs = self.finetuner.n_epochs_alone(self.row)
        return {
            "accuracy_validation_before": validation,
            "accuracy_test_before": test,
            "accuracy_test_gain": gain.mean,
            "accuracy_test_gain_std": gain.std,
            "finetuned_has_changed": self.found.has_changed,
            "finetuned_epochs": self.finetuner.inputs.finetuning(self.row).epochs,
            "scratch_epochs": np.nan if epochs is None else epochs,
            "scratch_lead": lead.mean if lead is not None else np.nan,
            "scratch_lead_std": lead.std if lead is not None else np.nan,
            "scratch_is_better": lead is not None and lead.is_sure,
            "n_test": len(data.test.labels),
        }

    def _lead(self, one: Trained, other: Trained) -> Difference:
        """How much more accurate one network is than another on test images."""
        score = self.finetuner.inputs.score()
        return difference(one, other, self.row, self._data.test, score)

    @property
    def _data(self) -> Dataset:
        return self.finetuner.inputs.dataset()


def finetuned_network(
    finetuner: Finetuner, row: IntArray, progress: Progress, *, against_scratch: bool
) -> FinetunedNetwork:
    """Trains one network on, and from scratch if asked; a network that was so is compared anyway.

    Args:
        finetuner: trains it.
        row: its canonical row, (d,).
        progress: counts epochs.
        against_scratch: whether it is trained from scratch.
    """
    found = finetuner.train(row, progress)
    train = partial(finetuner.train_alone, progress=progress)
    alone = (train if against_scratch else finetuner.load_alone)(row)
    return FinetunedNetwork(finetuner, row, found, alone)


@dataclass(frozen=True, slots=True)
class _Accuracies:
    """Accuracies of one network, whose row is the only one that is asked for."""

    trained: Trained
    row: IntArray
    data: Dataset

    def fingerprint(self) -> str:
        return self.trained.fingerprint

    def n_test(self) -> int:
        return len(self.data.test.labels)

    def validation(self, X: IntArray, progress: Progress) -> FloatArray:
        with one_thread():
            return self.trained.evaluate(X, self.data.validation)

    def test(self, X: IntArray, progress: Progress) -> FloatArray:
        with one_thread():
            return self.trained.evaluate(X, self.data.test)

    def network(self, row: IntArray) -> nn.Module:
        return self.trained.extract(row)


class _Unpredicted:
    """Stands for predictions of finetuned accuracies, of which there are none."""

    def predict(self, X: IntArray) -> Prediction:
        return Prediction(self.mean(X), np.zeros(len(X)))

    def mean(self, X: IntArray) -> FloatArray:
        return np.zeros(len(X))
