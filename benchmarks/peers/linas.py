"""LINAS, the guided search of DyNAS-T 1.6.0, without its supernets, files and dead dependencies.

As there: the first population is random; each is evaluated truly, then a predictor of accuracy is
fitted to all that is known, and the last population of an inner NSGA-II of 20,000 predictions is
the next one. What was evaluated before may come back. Rows are not repaired inside, so the
predictor also sees genes that no network has. Unlike there, latency is priced by the table that
the caller brings, not learned, and after the last evaluations nothing is fitted any more.

Cummings et al.: A Hardware-Aware System for Accelerating Deep Neural Network Optimization.
arXiv 2202.12954, 2022.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.problem import Problem
from pymoo.operators.crossover.sbx import SBX
from pymoo.operators.mutation.pm import PM
from pymoo.operators.repair.rounding import RoundingRepair
from pymoo.operators.sampling.rnd import IntegerRandomSampling
from pymoo.optimize import minimize
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.svm import SVR

from tailorbird.spaces import FloatArray, IntArray, SearchSpace

INNER_EVALUATIONS = 20_000
_GRIDS = (
    (Ridge(max_iter=1_000_000), {"alpha": np.arange(0.1, 10.1, 0.1)}),
    (
        SVR(kernel="rbf", gamma="auto", epsilon=0.0, max_iter=1_000_000),
        {"C": np.arange(1.0, 101.0, 1.0)},
    ),
)


def linas(
    space: SearchSpace,
    accuracy: Callable[[IntArray], FloatArray],
    latency: Callable[[IntArray], FloatArray],
    n_evaluations: int,
    population: int,
    seed: int,
    start: IntArray | None = None,
) -> IntArray:
    """Canonical rows in the order of their evaluation, (n_evaluations, d); some may be equal.

    Args:
        space: searched.
        accuracy: true ones, maximised, (n,) of canonical rows (n, d).
        latency: minimised, (n,) of canonical rows (n, d); asked of predicted networks as well.
        n_evaluations: calls of `accuracy`, counted in rows.
        population: rows in a batch, and in the inner search.
        seed: of everything.
        start: the first batch, (n, d); random if None.
    """
    n_choices = np.array([len(variable.choices) for variable in space.variables])
    rng = np.random.default_rng(seed)
    X = rng.integers(n_choices, size=(population, len(n_choices))) if start is None else start
    X = X[:n_evaluations]
    y = accuracy(space.repair(X))
    while len(X) < n_evaluations:
        predict = _fitted(X, y, n_choices)
        batch = _inner(space, predict, latency, n_choices, population, seed)
        batch = batch[: n_evaluations - len(X)]
        y = np.append(y, accuracy(space.repair(batch)))
        X = np.vstack([X, batch])
    return space.repair(X)


def _one_hot(X: IntArray, n_choices: IntArray) -> FloatArray:
    columns = [np.eye(n)[column] for column, n in zip(X.T, n_choices, strict=True)]
    return np.hstack(columns)


def _fitted(X: IntArray, y: FloatArray, n_choices: IntArray) -> Callable[[IntArray], FloatArray]:
    """The better of ridge and support vectors by the percentage error of five folds."""
    _, first = np.unique(X, axis=0, return_index=True)
    first.sort()
    largest = np.abs(y).max()
    scale = 10 ** (np.floor(np.log10(largest)) - 1) if largest > 0 else 1.0
    features, labels = _one_hot(X[first], n_choices), y[first] / scale
    searches = [
        GridSearchCV(model, grid, scoring="neg_mean_absolute_percentage_error").fit(
            features, labels
        )
        for model, grid in _GRIDS
    ]
    best = max(searches, key=lambda search: float(search.best_score_)).best_estimator_
    return lambda rows: np.asarray(scale * best.predict(_one_hot(rows, n_choices)))


def _inner(
    space: SearchSpace,
    predict: Callable[[IntArray], FloatArray],
    latency: Callable[[IntArray], FloatArray],
    n_choices: IntArray,
    population: int,
    seed: int,
) -> IntArray:
    """The last population of NSGA-II with the operators of DyNAS-T, (population, d)."""

    class Predicted(Problem):  # type: ignore[misc]  # pymoo is untyped
        def _evaluate(self, X: IntArray, out: dict[str, Any], *_: Any, **__: Any) -> None:
            out["F"] = np.column_stack([latency(space.repair(X)), -predict(X)])

    algorithm = NSGA2(
        pop_size=population,
        sampling=IntegerRandomSampling(),
        crossover=SBX(prob=0.9, eta=15.0, vtype=float, repair=RoundingRepair()),
        mutation=PM(prob=0.02, eta=20.0, vtype=float, repair=RoundingRepair()),
        eliminate_duplicates=True,
    )
    problem = Predicted(n_var=len(n_choices), n_obj=2, xl=0, xu=n_choices - 1)
    generations = INNER_EVALUATIONS // population
    result = minimize(problem, algorithm, ("n_gen", generations), seed=seed, verbose=False)
    return np.asarray(np.rint(result.pop.get("X")).astype(np.int64))
