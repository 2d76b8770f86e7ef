"""Checks of networks that a search found: built, evaluated and timed for real."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pandas as pd

from tailorbird.latency_tables import LatencyTable, Program
from tailorbird.latency_tables.profiling.space_programs import network_key
from tailorbird.predictors import Predictor
from tailorbird.predictors.metrics import accuracy_std
from tailorbird.progress import Progress
from tailorbird.reports.checked import AT, COUNTED, ROUNDS, TAKEN, Checked
from tailorbird.reports.measures import ELSEWHERE
from tailorbird.search import Objective
from tailorbird.spaces import FloatArray, IntArray, SearchSpace, encodings
from tailorbird.spaces.footprint import network_costs
from tailorbird.spaces.unions import labels_of

if TYPE_CHECKING:
    from torch import nn


class Accuracies(Protocol):
    """Accuracies of whole networks."""

    def fingerprint(self) -> str:
        """Fingerprint of the weights, which changes with any of them."""

    def n_test(self) -> int | None:
        """Images behind an accuracy that is reported; None if that is not known."""

    def validation(self, X: IntArray, progress: Progress) -> FloatArray:
        """Accuracies (n,) of canonical rows (n, d) that the search may know; NaN if unknown."""

    def test(self, X: IntArray, progress: Progress) -> FloatArray:
        """Accuracies (n,) of canonical rows (n, d) for reports; NaN if unknown."""

    def network(self, row: IntArray) -> "nn.Module":
        """The network of a canonical row, to be timed."""


class Timer(Protocol):
    """Times whole networks."""

    def timed(self, programs: Sequence[Program], rounds: int, progress: Progress) -> LatencyTable:
        """A table with these programs, timed or failed; without them if nothing is timed."""


@dataclass(frozen=True, slots=True)
class Checker:
    """Builds networks, evaluates them, compiles them whole and times them.

    Attributes:
        space: of the networks.
        accuracies: theirs.
        timer: times them, as far as that is possible.
    """

    space: SearchSpace
    accuracies: Accuracies
    timer: Timer

    def check(
        self,
        X: IntArray,
        accuracy: Predictor,
        latency: Predictor,
        progress: Progress,
        objectives: Sequence[Objective] = (),
    ) -> Checked:
        """Checks canonical rows (n, d) beside what predicted them.

        Args:
            X: the rows.
            accuracy: predicts it.
            latency: predicts it on the device.
            progress: where it reports to.
            objectives: of the search, of which further ones have columns of their own.
        """
        accuracies, latencies_ms = accuracy.predict(X), latency.predict(X)
        names = [self.space.describe(row) for row in X]
        programs = [self._program(row) for row in X]
        table = self.timer.timed(programs, ROUNDS, progress)
        measured = [table.entries.get(program.key) for program in programs]
        validation = self.accuracies.validation(X, progress)
        test = self.accuracies.test(X, progress)
        n_macs, n_params = network_costs(self.space, X).T
        networks = pd.DataFrame(
            {
                "architecture": names,
                "kind": [self.space.kind(row) for row in X],
                "space": labels_of(X, self.space),
                "accuracy_predicted": accuracies.mean,
                "accuracy_std": accuracies.std,
                "accuracy_validation": validation,
                "accuracy_test": test,
                "accuracy_test_std": accuracy_std(test, self.accuracies.n_test()),
                "latency_ms_predicted": latencies_ms.mean,
                "latency_ms_std": latencies_ms.std,
                "latency_ms_extrapolated": latencies_ms.extrapolated
                if latencies_ms.extrapolated is not None
                else np.zeros(len(X), dtype=bool),
                "latency_ms_measured": [m.median_ms if m else np.nan for m in measured],
                "n_macs": n_macs // self.space.input_shape[0],
                "n_params": n_params,
                **further_columns(X, objectives),
                **encodings.columns(X, self.space, TAKEN),
            }
        )
        rounds = [m.round_ms[:ROUNDS] if m else (np.nan,) * ROUNDS for m in measured]
        failures = {
            name: table.failures[program.key]
            for name, program in zip(names, programs, strict=True)
            if program.key in table.failures
        }
        return Checked(networks, np.array(rounds), failures)

    def anchors(
        self,
        accuracy: FloatArray,
        latency: Predictor,
        objectives: Sequence[Objective],
        checked: Sequence[Checked],
    ) -> pd.DataFrame:
        """The space's landmarks with other accuracies (k,), and what is known of them otherwise.

        Args:
            accuracy: on test images.
            latency: predicts it on the device.
            objectives: of the search.
            checked: networks, by which those landmarks are measured that are among them.
        """
        X = self.space.landmarks
        names = [self.space.describe(row) for row in X]
        timed = pd.concat([one.networks for one in checked]).drop_duplicates("architecture")
        measured = timed.set_index("architecture")["latency_ms_measured"].reindex(names)
        return pd.DataFrame(
            {
                "architecture": names,
                "accuracy_test": accuracy,
                "accuracy_test_std": accuracy_std(accuracy, self.accuracies.n_test()),
                "latency_ms_predicted": latency.mean(X),
                "latency_ms_measured": measured.to_numpy(),
                **further_columns(X, objectives),
            }
        )

    def _program(self, row: IntArray) -> Program:
        # With other weights it is another program to compare with torch.
        key = network_key(self.space, row, f"@{self.accuracies.fingerprint()}")
        return Program(key, lambda: self.accuracies.network(row), (self.space.input_shape,))


def further_columns(X: IntArray, objectives: Sequence[Objective]) -> dict[str, FloatArray]:
    """Columns of canonical rows (n, d) for objectives besides accuracy and the device's latency.

    Latencies on other devices are predicted, with standard deviations; what is counted is exact.
    """
    columns = dict[str, FloatArray]()
    for objective in objectives:
        if objective.name.startswith(ELSEWHERE):
            at = f"{AT}{objective.name.removeprefix(ELSEWHERE)}"
            predicted = objective.predictor.predict(X)
            columns |= {f"latency_ms{at}": predicted.mean, f"latency_ms_std{at}": predicted.std}
        elif objective.column in COUNTED:
            columns[objective.column] = objective.predictor.mean(X)
    return columns
