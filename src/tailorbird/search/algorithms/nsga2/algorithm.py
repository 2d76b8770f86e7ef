"""NSGA-II as an algorithm of pymoo's, on arrays."""

import numpy as np
from pymoo.core.algorithm import Algorithm

from tailorbird.search.algorithms.nsga2.population import RowEvaluator, Rows
from tailorbird.search.algorithms.survival import distinct, survivors, tournament
from tailorbird.search.algorithms.variation import Variation
from tailorbird.spaces import IntArray

_MATINGS = 10  # to fill a generation
_SPARE = 1.1  # children bred for each that is wanted; some are known already


class RowNSGA2(Algorithm):  # type: ignore[misc]  # pymoo is untyped
    """pymoo's NSGA-II with its bookkeeping per individual replaced by arrays.

    Terminations, callbacks, displays, history and `ask` and `tell` work as with any algorithm of
    pymoo's; populations are `Rows`. It ends early when no new architecture can be bred.

    Args:
        start: initial population, canonical rows (n, d); of equal ones, one is taken.
        population: rows that survive, and that are bred.
        variation: breeds them.
    """

    def __init__(self, start: IntArray, population: int, variation: Variation) -> None:
        super().__init__(evaluator=RowEvaluator())
        self.start = start[distinct(start, known=start[:0])]
        self.pop_size = population
        self.variation = variation

    def _initialize_infill(self) -> Rows:
        return Rows.new(X=self.start)

    def _initialize_advance(self, infills: Rows) -> None:
        self._keep(infills)

    def _infill(self) -> Rows | None:
        X, F, cv, crowding = self.pop.get("X", "F", "cv", "crowding")
        rng = self.random_state
        bred = X[:0]
        for _ in range(_MATINGS):
            n_pairs = int(np.ceil(_SPARE * (self.pop_size - len(bred)) / 2))
            a, b = tournament(F, cv, crowding, 2 * n_pairs, rng).reshape(2, -1)
            nearer, other = np.where(cv[a] <= cv[b], (a, b), (b, a))
            children = self.variation(X[nearer], X[other], rng)
            new = children[distinct(children, known=np.vstack([X, bred]))]
            bred = np.vstack([bred, new])[: self.pop_size]
            if len(bred) == self.pop_size:
                break
        if not len(bred):
            self.termination.force_termination = True
            return None
        return Rows.new(X=bred)

    def _advance(self, infills: Rows | None = None) -> None:
        if infills is not None:
            self._keep(Rows.merge(self.pop, infills))

    def _keep(self, candidates: Rows) -> None:
        F, cv = candidates.get("F", "cv")
        kept, rank, crowding = survivors(F, cv, self.pop_size, self.random_state)
        self.pop = candidates[kept].set(rank=rank, crowding=crowding)

    def _set_optimum(self) -> None:
        cv, rank = self.pop.get("cv", "rank")
        self.opt = self.pop[[int(cv.argmin())]] if cv.min() > 0.0 else self.pop[rank == 0]
