"""True evaluations, kept as trials of an Optuna study."""

from collections.abc import Callable

import numpy as np
import optuna

from tailorbird.predictors import FloatArray
from tailorbird.progress import Progress
from tailorbird.spaces import IntArray

Evaluator = Callable[[IntArray], FloatArray]
"""Accuracies (n,) of the networks of canonical rows (n, d)."""

_BATCH = 25  # evaluated and told to the storage together; a kill loses at most as many


class Study:
    """Remembers what was evaluated; nothing is evaluated twice.

    Args:
        url: of the database, for SQLAlchemy.
        name: different weights or images want different names.
    """

    def __init__(self, url: str, name: str) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._study = optuna.create_study(
            storage=url, study_name=name, direction="maximize", load_if_exists=True
        )

    def evaluate(self, X: IntArray, evaluator: Evaluator, progress: Progress) -> FloatArray:
        """Accuracies (n,) of canonical rows (n, d), from memory where there is one."""
        known = self._known()
        rows = [tuple(map(int, row)) for row in X]
        todo = sorted({row for row in rows if row not in known})  # neighbours begin alike
        if todo:
            with progress.task("Evaluating", len(todo)) as advance:
                for first in range(0, len(todo), _BATCH):
                    batch = todo[first : first + _BATCH]
                    values = evaluator(np.array(batch)).tolist()  # together: networks share work
                    done = dict(zip(batch, values, strict=True))
                    self._remember(done)
                    known.update(done)
                    for value in values:
                        advance(f"accuracy {value:.3f}")
        return np.array([known[row] for row in rows])

    def _known(self) -> dict[tuple[int, ...], float]:
        trials = self._study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
        return {tuple(t.user_attrs["encoding"]): float(t.values[0]) for t in trials}

    def _remember(self, values: dict[tuple[int, ...], float]) -> None:
        self._study.add_trials(
            [
                optuna.trial.create_trial(value=value, user_attrs={"encoding": row})
                for row, value in values.items()
            ]
        )
