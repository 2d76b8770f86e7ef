"""Problems of searches: objectives and constraints as recipes name them."""

from collections.abc import Callable, Mapping
from functools import cache

from tailorbird.predictors import Predictor
from tailorbird.predictors.counted_costs import mega_macs, mega_params, peak_mib, weight_mib
from tailorbird.recipe import Property, SearchSection
from tailorbird.reports.measures import ELSEWHERE
from tailorbird.search import Constraint, Objective, Problem
from tailorbird.spaces import SearchSpace

_COSTS: Mapping[str, tuple[str, str, Callable[[SearchSpace], Predictor]]] = {
    "mega_macs": ("mega_macs", "", mega_macs),
    "mega_params": ("mega_params", "", mega_params),
    "weight_mib": ("weight", "mib", weight_mib),
    "peak_mib": ("peak", "mib", peak_mib),
}
"""Name, unit and predictor of what costs the same on every device."""


def problem_of(
    asked: SearchSection,
    space: SearchSpace,
    accuracy: Predictor,
    latency: Predictor,
    elsewhere: Mapping[str, Predictor],
) -> Problem:
    """Builds the problem that a recipe poses.

    Args:
        asked: the recipe's section.
        space: that it names.
        accuracy: predicts it.
        latency: predicts it on the recipe's device.
        elsewhere: predict it on the other devices of the search, by their names.
    """

    @cache
    def objective(of: Property) -> Objective:
        if of == "accuracy":
            return Objective("accuracy", "", "max", accuracy)
        return _cost(of, space, latency)

    return Problem(
        space,
        (*map(objective, asked.objectives), *_latencies_on(elsewhere)),
        tuple(Constraint(objective(of), limit) for of, limit in asked.limits.items()),
    )


def costs_of(
    asked: SearchSection, space: SearchSpace, latency: Predictor, elsewhere: Mapping[str, Predictor]
) -> tuple[Objective, ...]:
    """The objectives of that problem besides the accuracy, in their order."""
    costs = [_cost(of, space, latency) for of in asked.objectives if of != "accuracy"]
    return (*costs, *_latencies_on(elsewhere))


def _cost(of: Property, space: SearchSpace, latency: Predictor) -> Objective:
    if of == "latency_ms":
        return Objective("latency", "ms", "min", latency)
    name, unit, predictor = _COSTS[of]
    return Objective(name, unit, "min", predictor(space))


def _latencies_on(elsewhere: Mapping[str, Predictor]) -> list[Objective]:
    return [latency_on(device, predictor) for device, predictor in elsewhere.items()]


def latency_on(device: str, predictor: Predictor) -> Objective:
    """Latency on another device than the recipe's."""
    return Objective(f"{ELSEWHERE}{device}", "ms", "min", predictor)
