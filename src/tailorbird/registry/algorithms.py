"""Search algorithms by the names of `[search] algorithm`: a line each."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AlgorithmEntry:
    """A search algorithm, and what recipes may ask of it.

    Attributes:
        path: Python path of a function of a problem and `SearchSettings` that gives a front;
            or of one like `guided`, if it spends evaluations itself.
        keys: of `[search]` that it has for itself.
        most_predictions: networks that it may look at, so that what it remembers of them takes
            3 GiB at most; None if it needs no such limit.
        step: what an item of its history stands for.
        is_exact: True if it finds the front of the whole space.
        is_single: True if it finds one network, by the first objective, for one device.
        spends_evaluations: True if it chooses what is truly evaluated, and learns accuracy
            meanwhile; others search under a predictor that was fitted before.
        check: Python path of a function of settings and the number of objectives that raises
            ValueError for what cannot work; empty if there is nothing to check.
    """

    path: str
    keys: frozenset[str] = frozenset()
    most_predictions: int | None = None
    step: str = "evaluation"
    is_exact: bool = False
    is_single: bool = False
    spends_evaluations: bool = False
    check: str = ""


_HERE = "tailorbird.search.algorithms"
_PREDICTED = frozenset({"population", "generations"})
ALGORITHMS: Mapping[str, AlgorithmEntry] = {
    "nsga2": AlgorithmEntry(
        f"{_HERE}.nsga2.evolution:search", _PREDICTED, 10_000_000, step="generation"
    ),
    "guided": AlgorithmEntry(
        f"{_HERE}.guided.guided:guided", frozenset({"batch"}), spends_evaluations=True
    ),
    "exact": AlgorithmEntry(f"{_HERE}.exact.front:search", is_exact=True),
    "best": AlgorithmEntry(f"{_HERE}.exact.integer_program:search", is_exact=True, is_single=True),
    "random": AlgorithmEntry(f"{_HERE}.random_search:search", _PREDICTED, 1_000_000),
    "evolution": AlgorithmEntry(f"{_HERE}.regularised_evolution:search", _PREDICTED, 1_000_000),
    "optuna": AlgorithmEntry(
        f"{_HERE}.optuna_search:search",
        _PREDICTED | {"sampler"},
        100_000,
        check=f"{_HERE}.optuna_search:check",
    ),
}


def entry_of(name: str) -> AlgorithmEntry:
    """Entry of a name; that of a Python path searches under predictors."""
    return ALGORITHMS.get(name, AlgorithmEntry(name, _PREDICTED, step="step"))
