"""Study for dashboards of Optuna: evaluated networks with their genes and all objectives."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    IntDistribution,
    distribution_to_json,
)
from optuna.study import StudyDirection

from tailorbird.predictors import Predictor
from tailorbird.search.evaluation.executors import Row
from tailorbird.search.evaluation.optuna_storage import made_alone
from tailorbird.search.evaluation.trials_table import Finished, add_finished
from tailorbird.search.objective import Objective
from tailorbird.spaces import FloatArray, IntArray, SearchSpace, Variable

_MOST_NAMED = 200  # choices; each trial names all of them
_OF = "accuracies of"


@dataclass(frozen=True, slots=True)
class Costs:
    """What networks cost, as a search and its dashboard know it.

    Attributes:
        device: that the search is for.
        objectives: of the search, besides the accuracy.
        facts: further predictions, by name.
    """

    device: str
    objectives: Sequence[Objective]
    facts: Mapping[str, Predictor]


class ShownStudy:
    """Study that shows what is evaluated: nothing is read from it, and it is made anew at will.

    What remembers evaluations is another study, which all devices share, and in which networks have
    accuracies alone. Here each has a value for each objective, its genes as parameters, and the
    facts as user attributes.

    Args:
        url: of the database, for SQLAlchemy.
        name: of the study; no two processes may write to it.
        accuracies_of: name of the study that remembers them.
        space: of the networks.
        costs: of the networks.
    """

    def __init__(
        self, url: str, name: str, accuracies_of: str, space: SearchSpace, costs: Costs
    ) -> None:
        self._space, self._costs = space, costs
        self._distributions = {
            variable.name: distribution_to_json(_distribution(variable))
            for variable in space.variables
        }
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        with made_alone(url) as self._storage:
            shown = self._kept(name, accuracies_of)
            if shown is None:
                self._create(name, accuracies_of)
            self._shown = shown or set[Row]()
        self._id = self._storage.get_study_id_from_name(name)

    def add(self, accuracies: Mapping[Row, float]) -> None:
        """Shows networks by canonical rows, unless they are shown already.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: if the database fails.
        """
        new = {row: accuracy for row, accuracy in accuracies.items() if row not in self._shown}
        if new:
            X, y = np.array([*new], dtype=np.int64), np.array([*new.values()])
            if add_finished(self._storage.engine, self._id, self._trials(X, y)):
                self._shown |= new.keys()

    def _trials(self, X: IntArray, y: FloatArray) -> list[Finished]:
        values = np.column_stack([y, *(o.predictor.mean(X) for o in self._costs.objectives)])
        facts = {name: of.mean(X).tolist() for name, of in self._costs.facts.items()}
        return [
            Finished(
                values[i].tolist(),
                dict(zip(self._distributions, row.tolist(), strict=True)),
                self._distributions,
                {
                    "architecture": self._space.describe(row),
                    "encoding": row.tolist(),
                    **{name: of[i] for name, of in facts.items()},
                },
            )
            for i, row in enumerate(X)
        ]

    def _kept(self, name: str, accuracies_of: str) -> set[Row] | None:
        """Rows of a study that tells what this one would; None, and none is left, otherwise."""
        if name not in optuna.get_all_study_names(self._storage):
            return None
        study = optuna.load_study(study_name=name, storage=self._storage)
        try:
            trials = study.get_trials(deepcopy=False)
            X = np.array([trial.user_attrs["encoding"] for trial in trials], dtype=np.int64)
            y = np.array([trial.values[0] for trial in trials])
            same = [(t.values, t.user_attrs) for t in trials] == [
                (t.values, t.attributes) for t in (self._trials(X, y) if len(X) else ())
            ]
            if same and study.user_attrs == self._attributes(accuracies_of):
                return {tuple(row) for row in X.tolist()}
        except (KeyError, TypeError, ValueError, IndexError):  # people may write what they like
            pass
        optuna.delete_study(study_name=name, storage=self._storage)
        return None

    def _create(self, name: str, accuracies_of: str) -> None:
        senses = {"min": StudyDirection.MINIMIZE, "max": StudyDirection.MAXIMIZE}
        objectives = self._costs.objectives
        study = optuna.create_study(
            storage=self._storage,
            study_name=name,
            directions=[StudyDirection.MAXIMIZE, *(senses[o.sense] for o in objectives)],
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study.set_metric_names(["accuracy", *(o.column for o in objectives)])
        for key, value in self._attributes(accuracies_of).items():
            study.set_user_attr(key, value)

    def _attributes(self, accuracies_of: str) -> dict[str, object]:
        columns = [objective.column for objective in self._costs.objectives]
        return {"space": self._space.name, _OF: accuracies_of, "costs": columns}


def _distribution(variable: Variable) -> BaseDistribution:
    if len(variable.choices) > _MOST_NAMED:
        return IntDistribution(0, len(variable.choices) - 1)
    return CategoricalDistribution(variable.choices)
