"""What a search found, built and measured for real."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tailorbird.latency_tables import Latency, Profiler, Program
from tailorbird.predictors import FloatArray
from tailorbird.progress import Progress
from tailorbird.search import Objective
from tailorbird.search.study import Study
from tailorbird.spaces import IntArray, SearchSpace
from tailorbird.training import Dataset, Trained, accuracy_std

COLUMNS = (
    "architecture",
    "kind",
    "accuracy_predicted",
    "accuracy_std",
    "accuracy_validation",
    "accuracy_test",
    "accuracy_test_std",
    "latency_ms_predicted",
    "latency_ms_std",
    "latency_ms_measured",
    "n_macs",
    "n_params",
)
"""Of a front: accuracies are fractions, latencies those of a batch, MACs those of one image."""

ROUNDS = 2


@dataclass(frozen=True, slots=True, eq=False)
class Checked:
    """Networks with what was predicted and what was measured.

    Attributes:
        networks: a row per network, `COLUMNS`; a measurement that failed, or was
            not possible, is missing.
        round_ms: median of each round, (n, ROUNDS); NaN where it is missing.
        failures: reason by architecture.
    """

    networks: pd.DataFrame
    round_ms: FloatArray
    failures: dict[str, str]


@dataclass(frozen=True, slots=True)
class Checker:
    """Builds networks, evaluates them on all images, compiles them whole and times them.

    Attributes:
        space: of the networks.
        trained: their weights.
        dataset: its validation and test images.
        validation: remembers accuracies on validation images.
        test: remembers accuracies on test images.
        profiler: times them; None where that is not possible, since the table is of another
            device.
    """

    space: SearchSpace
    trained: Trained
    dataset: Dataset
    validation: Study
    test: Study
    profiler: Profiler | None

    def check(self, X: IntArray, objectives: tuple[Objective, ...], progress: Progress) -> Checked:
        """For canonical rows (n, d), and the predictors of accuracy and latency."""
        accuracy, latency = (objective.predictor.predict(X) for objective in objectives)
        names = [self.space.describe(row) for row in X]
        programs = [self._program(row, name) for row, name in zip(X, names, strict=True)]
        entries, reasons = self._time(programs, progress)
        measured = [entries.get(program.key) for program in programs]
        validation = self.validation.evaluate(
            X, lambda rows: self.trained.evaluate(rows, self.dataset.validation), progress
        )
        test = self.test.evaluate(
            X, lambda rows: self.trained.evaluate(rows, self.dataset.test), progress
        )
        costs = [self._cost(row) for row in X]
        networks = pd.DataFrame(
            {
                "architecture": names,
                "kind": [self.space.kind(row) for row in X],
                "accuracy_predicted": accuracy.mean,
                "accuracy_std": accuracy.std,
                "accuracy_validation": validation,
                "accuracy_test": test,
                "accuracy_test_std": accuracy_std(test, len(self.dataset.test.labels)),
                "latency_ms_predicted": latency.mean,
                "latency_ms_std": latency.std,
                "latency_ms_measured": [m.median_ms if m else np.nan for m in measured],
                "n_macs": [n_macs for n_macs, _ in costs],
                "n_params": [n_params for _, n_params in costs],
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
        weights = f"{self.space.name}@{self.trained.fingerprint}"
        key = f"{weights}/{name}[{'x'.join(map(str, shape))}]f32"
        return Program(key, lambda: self.trained.extract(row), (shape,))

    def _cost(self, row: IntArray) -> tuple[int, int]:
        """MACs for one image, and parameters."""
        import torch
        from torch.utils.flop_counter import FlopCounterMode

        network = self.space.build(row).eval()
        with torch.inference_mode(), FlopCounterMode(display=False) as counter:
            network(torch.zeros(1, *self.space.input_shape[1:]))
        n_params = sum(parameter.numel() for parameter in network.parameters())
        return counter.get_total_flops() // 2, n_params
