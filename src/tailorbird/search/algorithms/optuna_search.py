"""Optuna's samplers as searches of a space, by name."""

import inspect
import warnings
from collections.abc import Callable

import numpy as np
import optuna

from tailorbird.errors import nearest
from tailorbird.search.budget import Budget
from tailorbird.search.front import ParetoFront
from tailorbird.search.problem import Problem
from tailorbird.search.settings import SearchSettings
from tailorbird.spaces import FloatArray, IntArray, Variable

_REPEATS = 10  # in a row, before a sampler that has converged is given a new architecture
# By default, TPE takes variables one by one if there are several objectives. In Once-for-all that
# takes a hundred times as long, asks for the same networks over and over, and finds less.
_SETTINGS = {"TPESampler": {"multivariate": True}}
_NUMBERS_ONLY = ("CmaEsSampler", "QMCSampler")  # to which a category means a random draw


def optuna_search(
    problem: Problem,
    *,
    n_evaluations: int,
    sampler: str = "TPESampler",
    seed: int = 0,
    ref_point: FloatArray | None = None,
    start: IntArray | None = None,
) -> ParetoFront:
    """The front of everything that a sampler of Optuna asked for.

    Every variable is a categorical parameter, or a whole number for samplers that know no other.
    What the sampler suggests is repaired before it is evaluated; an architecture that was
    evaluated already is told its value and does not count. A sampler that suggests nothing new
    many times in a row is given an architecture that is drawn uniformly.

    Args:
        problem: of any number of objectives that the sampler can do.
        n_evaluations: distinct architectures to look at; all of them if there are fewer.
        sampler: its name, such as `NSGAIISampler`; it has its default settings, but TPE models
            all variables together.
        seed: the same seed gives the same front.
        ref_point: for the hypervolume after each evaluation, (m,); None to leave it out.
        start: canonical rows (k, d) to look at first; they count, and the sampler learns of them.

    Raises:
        InfeasibleError: if it saw nothing that meets the constraints.
        ValueError: if there is no such sampler, or if it cannot do so many objectives.

    References:
        Akiba, Sano, Yanase, Ohta, Koyama: Optuna: A Next-generation Hyperparameter Optimization
        Framework. KDD 2019.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    budget = Budget(problem, n_evaluations, ref_point)
    study = _study(sampler, seed, len(problem.objectives))
    suggest = _whole_number if sampler in _NUMBERS_ONLY else _category
    objective = _Objective(budget, suggest, np.random.default_rng(seed))
    if start is not None:
        objective.enqueue(study, budget.new(start))
    while budget.left:  # brute force stops when it has suggested every row
        study.optimize(objective)
    return budget.front(seed)


def search(problem: Problem, settings: SearchSettings) -> ParetoFront:
    """A sampler of Optuna with the settings of a recipe."""
    return optuna_search(
        problem,
        sampler=settings.sampler,
        n_evaluations=settings.n_evaluations,
        seed=settings.seed,
        ref_point=settings.ref_point,
    )


class _Objective:
    """Evaluates what a sampler suggests, each architecture once.

    Args:
        budget: of the search.
        suggest: asks a trial for the choice of a variable.
        rng: draws an architecture where a sampler has converged.
    """

    def __init__(
        self,
        budget: Budget,
        suggest: Callable[[optuna.Trial, Variable], int],
        rng: np.random.Generator,
    ) -> None:
        self._budget = budget
        self._suggest = suggest
        self._rng = rng
        self._space = budget.problem.space
        self._repeats = 0

    def __call__(self, trial: optuna.Trial) -> list[float]:
        choices = [self._suggest(trial, variable) for variable in self._space.variables]
        X = self._space.repair(np.array(choices, dtype=np.int64)[None])
        known = self._budget.known(X[0])
        self._repeats = self._repeats + 1 if known else 0
        f, g = known or (values[0] for values in self._budget.evaluate(X))
        for i, excess in enumerate(g):
            trial.set_constraint(str(i), excess)
        if not self._budget.left:
            trial.study.stop()
        elif self._repeats == _REPEATS:
            self.enqueue(trial.study, self._budget.draw(1, self._rng))
        return [float(value) for value in f]

    def enqueue(self, study: optuna.Study, X: IntArray) -> None:
        """Has a study suggest rows (n, d) next."""
        names = [variable.name for variable in self._space.variables]
        for row in X.tolist():
            study.enqueue_trial(dict(zip(names, row, strict=True)))


def _whole_number(trial: optuna.Trial, variable: Variable) -> int:
    return trial.suggest_int(variable.name, 0, len(variable.choices) - 1)


def _category(trial: optuna.Trial, variable: Variable) -> int:
    return trial.suggest_categorical(variable.name, range(len(variable.choices)))


def check(settings: SearchSettings, n_objectives: int) -> None:
    """Makes sure that the sampler of a recipe can do so many objectives.

    Raises:
        ValueError: if there is none of that name, or it cannot.
    """
    check_sampler(settings.sampler, n_objectives)


def check_sampler(name: str, n_objectives: int) -> None:
    """Makes sure that there is a sampler of that name for so many objectives.

    Raises:
        ValueError: if there is none.
    """
    _study(name, 0, n_objectives)


def _study(name: str, seed: int, n_objectives: int) -> optuna.Study:
    """A study in memory, all of whose objectives are minimised."""
    known = {each: made for each in optuna.samplers.__all__ if (made := _by_seed_alone(each))}
    if name not in known:
        raise ValueError(f"There is no sampler named {name!r}; {nearest(name, known)}")

    def study() -> optuna.Study:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = known[name](seed=seed, **_SETTINGS.get(name, {}))
        return optuna.create_study(sampler=sampler, directions=["minimize"] * n_objectives)

    probe = study()
    try:
        for _ in range(2):  # some samplers look at the study from the second trial on only
            trial = probe.ask({"x": optuna.distributions.IntDistribution(0, 9)})
            probe.tell(trial, [0.0] * n_objectives)
    except ImportError as error:
        raise ValueError(
            f"{name} needs a package that is not installed ({error}). Install it with pip, or take "
            "another, such as TPESampler or NSGAIISampler."
        ) from error
    except ValueError as error:
        raise ValueError(
            f"{name} must do {n_objectives} objectives, but it does one at a time. "
            "Take another, such as TPESampler or NSGAIISampler."
        ) from error
    return study()


def _by_seed_alone(name: str) -> Callable[..., optuna.samplers.BaseSampler] | None:
    """The sampler of that name, if it needs to be told nothing and can be told a seed."""
    made = getattr(optuna.samplers, name)
    if not (inspect.isclass(made) and issubclass(made, optuna.samplers.BaseSampler)):
        return None
    parameters = inspect.signature(made).parameters
    needed = [p for p in parameters.values() if p.default is p.empty]
    return made if "seed" in parameters and not needed else None
