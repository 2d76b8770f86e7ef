"""Search of a recipe: its front, and the probability of each member."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from tailorbird.errors import EvaluationError
from tailorbird.pipeline.accuracy_sources.source import Evaluations
from tailorbird.pipeline.own_code.algorithm import Algorithm, settings_of
from tailorbird.pipeline.problem import problem_of
from tailorbird.predictors import KnownAccuracy, Predictor
from tailorbird.predictors.metrics import accuracy_std
from tailorbird.progress import NoProgress, Progress
from tailorbird.recipe import Recipe
from tailorbird.registry.python_paths import load
from tailorbird.search import (
    ParetoFront,
    Problem,
    SearchResult,
    Unknown,
    exact_front,
    has_exact_front,
    with_probability,
)
from tailorbird.search.algorithms.initial_design import initial_size, spread_within
from tailorbird.search.algorithms.variation import mutate
from tailorbird.spaces import FloatArray, SearchSpace

_DRAWS, _FEWEST_DRAWS, _DRAWN = 1_000, 50, 500_000  # of all networks of large fronts together
_RIVALS = 3  # neighbours of each network of a front that may truly be better


@dataclass(frozen=True)
class RecipeSearch:
    """Searches as one recipe asks for them.

    Attributes:
        recipe: what was asked for.
        space: that the recipe names.
        latency: on its device.
        elsewhere: latencies on the other devices of the search, by their names.
        algorithm: that the recipe names.
        progress: where searches that evaluate report to.
    """

    recipe: Recipe
    space: SearchSpace
    latency: Predictor
    elsewhere: Mapping[str, Predictor]
    algorithm: Algorithm
    progress: Progress

    def predicted(self, accuracy: Predictor) -> SearchResult:
        """The front by the recipe's algorithm, beside the exact one if that can be had."""
        asked, problem = self.recipe.search, self._problem(accuracy)
        if asked.entry.is_single:
            problem = replace(problem, objectives=problem.objectives[:1])
        ref_point = problem.reference_point(self.recipe.seed)
        settings = replace(settings_of(asked, self.recipe.seed), ref_point=ref_point)
        front = self.algorithm(problem, settings)
        exact: ParetoFront | None = front
        if not asked.entry.is_exact:
            exact = exact_front(problem) if has_exact_front(problem) else None
        if exact is not None and not exact.exact:
            exact = None
        return self._result(front, exact, problem, ref_point)

    def guided(self, source: Evaluations) -> tuple[SearchResult, Predictor]:
        """Spends evaluations where they are expected to move the front.

        Returns:
            What was found, and a predictor of accuracy that knows what was evaluated.

        Raises:
            EvaluationError: if too few evaluations succeed, with the reason of the first.
            InfeasibleError: if no network meets the constraints; before any is evaluated, if
                that can be told.
        """
        asked, seed = self.recipe.search, self.recipe.seed
        n_evaluations = self.recipe.accuracy.evaluations
        learner = source.learner(self.progress, None)
        problem = self._problem(learner)
        accuracy = next(o for o in problem.objectives if o.predictor is learner)
        priced = tuple(c for c in problem.constraints if c.objective != accuracy)
        start = spread_within(
            replace(problem, constraints=priced),
            self.latency,
            initial_size(n_evaluations, asked.batch),
            np.random.default_rng(seed),
        )
        quiet = NoProgress()  # the search counts evaluations itself

        def noise_std(y: FloatArray) -> FloatArray:
            return np.nan_to_num(accuracy_std(y, source.n_validation()))  # exact if nobody knows

        unknown = Unknown(accuracy, lambda X: source.validation(X, quiet), noise_std)
        try:
            front, evaluated = load(asked.entry.path)(
                problem,
                [unknown],
                start=start,
                n_evaluations=n_evaluations,
                batch=asked.batch,
                seed=seed,
                progress=self.progress,
                earlier=source.earlier()[0],
            )
        except EvaluationError as error:
            raise EvaluationError(f"{error} {' '.join(source.remarks())}".strip()) from None
        X, y = evaluated.values(accuracy)
        others = source.learner(self.progress, source.n_validation()).fit(X, y)
        knowing = KnownAccuracy(X, y, noise_std(y), others)
        problem = self._problem(knowing)
        ref_point = problem.reference_point(seed)
        return self._result(front, None, problem, ref_point), knowing

    def _result(
        self,
        front: ParetoFront,
        exact: ParetoFront | None,
        problem: Problem,
        ref_point: FloatArray,
    ) -> SearchResult:
        asked = self.recipe.search
        sure = self._sure(front, problem)
        entry = asked.entry
        return SearchResult(
            sure, exact, ref_point, asked.algorithm, entry.step, entry.spends_evaluations
        )

    def _problem(self, accuracy: Predictor) -> Problem:
        return problem_of(self.recipe.search, self.space, accuracy, self.latency, self.elsewhere)

    def _sure(self, front: ParetoFront, problem: Problem) -> ParetoFront:
        """The front with the probability that each network is on it, among its neighbours."""
        rng = np.random.default_rng([self.recipe.seed, 2])
        near = mutate(self.space, np.repeat(front.X, _RIVALS, axis=0), rng)
        n_draws = max(_FEWEST_DRAWS, min(_DRAWS, _DRAWN // len(front)))
        return with_probability(front, problem, n_draws=n_draws, rng=rng, rivals=near)
