"""Networks that a search found are built, evaluated and timed for real."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tailorbird.latency_tables import Latency, Profiler, Program
from tailorbird.pipeline.accuracy_sources.source import Accuracies
from tailorbird.predictors import Predictor
from tailorbird.predictors.metrics import accuracy_std
from tailorbird.progress import Progress
from tailorbird.reports.checked import ROUNDS, Checked
from tailorbird.spaces import IntArray, SearchSpace
from tailorbird.spaces.footprint import network_costs


@dataclass(frozen=True, slots=True)
class Checker:
    """Builds networks, evaluates them, compiles them whole and times them.

    Attributes:
        space: of the networks.
        accuracies: theirs.
        profiler: times them; None where that is not possible, since the table is of another
            device.
    """

    space: SearchSpace
    accuracies: Accuracies
    profiler: Profiler | None

    def check(
        self, X: IntArray, accuracy: Predictor, latency: Predictor, progress: Progress
    ) -> Checked:
        """For canonical rows (n, d), and what predicted them."""
        accuracies, latencies_ms = accuracy.predict(X), latency.predict(X)
        names = [self.space.describe(row) for row in X]
        programs = [self._program(row, name) for row, name in zip(X, names, strict=True)]
        entries, reasons = self._time(programs, progress)
        measured = [entries.get(program.key) for program in programs]
        validation = self.accuracies.validation(X, progress)
        test = self.accuracies.test(X, progress)
        n_macs, n_params = network_costs(self.space, X).T
        networks = pd.DataFrame(
            {
                "architecture": names,
                "kind": [self.space.kind(row) for row in X],
                "accuracy_predicted": accuracies.mean,
                "accuracy_std": accuracies.std,
                "accuracy_validation": validation,
                "accuracy_test": test,
                "accuracy_test_std": accuracy_std(test, self.accuracies.n_test),
                "latency_ms_predicted": latencies_ms.mean,
                "latency_ms_std": latencies_ms.std,
                "latency_ms_extrapolated": latencies_ms.extrapolated
                if latencies_ms.extrapolated is not None
                else np.zeros(len(X), dtype=bool),
                "latency_ms_measured": [m.median_ms if m else np.nan for m in measured],
                "n_macs": n_macs // self.space.input_shape[0],
                "n_params": n_params,
            }
        )
        rounds = [m.round_ms[:ROUNDS] if m else (np.nan,) * ROUNDS for m in measured]
        failures = {
            name: reasons[program.key]
            for name, program in zip(names, programs, strict=True)
            if program.key in reasons
        }
        return Checked(networks, np.array(rounds), failures)

    def _time(
        self, programs: Sequence[Program], progress: Progress
    ) -> tuple[Mapping[str, Latency], Mapping[str, str]]:
        """Latencies and the reasons of failures, by key."""
        if self.profiler is None:
            return {}, {}
        self.profiler.profile(programs, ROUNDS, progress)
        table = self.profiler.store.table(
            self.profiler.configuration, self.profiler.device.name, ROUNDS
        )
        return table.entries, table.failures

    def _program(self, row: IntArray, name: str) -> Program:
        shape = self.space.input_shape
        # With other weights it is another program to compare with torch.
        weights = f"{self.space.name}@{self.accuracies.fingerprint}"
        key = f"{weights}/{name}[{'x'.join(map(str, shape))}]f32"
        return Program(key, lambda: self.accuracies.network(row), (shape,))
