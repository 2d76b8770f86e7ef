"""A problem whose properties all add up along the paths of a layered graph."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from tailorbird.errors import InfeasibleError, apart
from tailorbird.predictors import Additive
from tailorbird.search.objective import Constraint, Objective
from tailorbird.search.problem import Problem
from tailorbird.spaces import FloatArray, IntArray
from tailorbird.spaces.layered import LayeredGraph, graph_of
from tailorbird.spaces.path_sum import PathValues

_ROUNDING = 1e-12  # of the largest sum: more than sums in another order differ by
_ROOM = 2  # of such errors: a limit on a sum may be wrong by one, and so may the sum


@dataclass(frozen=True, slots=True, eq=False)
class PathProblem:
    """Objectives and other constrained properties of a problem, as sums that are minimised.

    Attributes:
        problem: as it was asked.
        graph: of its space.
        properties: the m objectives, then what is constrained only; p in all.
        along: what adds up to each of them, in its natural sense.
        edges: what taking each edge of each layer adds, minimised, (e, p) each.
        final: what ending in each state adds, minimised, (n_states, p).
        shortest_rest: what the rest of a path adds at least, from each state before each layer and
            behind the last, (n_states, p) each; infinite where no path goes on to the end.
        longest_rest: likewise at most; minus infinity there.
        limits: the largest sum that is allowed of each, with room for rounding, (p,); infinite
            where every path will do.
    """

    problem: Problem
    graph: LayeredGraph
    properties: tuple[Objective, ...]
    along: tuple[PathValues, ...]
    edges: tuple[FloatArray, ...]
    final: FloatArray
    shortest_rest: tuple[FloatArray, ...]
    longest_rest: tuple[FloatArray, ...]
    limits: FloatArray

    @classmethod
    def of(cls, problem: Problem) -> "PathProblem | None":
        """Sums of a problem; None if its space is not layered, or a property does not add up."""
        graph = graph_of(problem.space)
        if graph is None:
            return None
        properties = list(problem.objectives)
        for constraint in problem.constraints:
            if constraint.objective not in properties:
                properties.append(constraint.objective)
        along = list[PathValues]()
        for one in properties:
            if not isinstance(one.predictor, Additive):
                return None
            along.append(one.predictor.along(graph))
        signs = np.array([one.sign for one in properties], dtype=np.float64)
        edges = [
            signs * np.column_stack([values.edges[k] for values in along])
            for k in range(len(graph.layers))
        ]
        final = signs * np.column_stack([values.final for values in along])
        shortest = _shortest_rest(graph, edges, final)
        longest = tuple(-rest for rest in _shortest_rest(graph, [-e for e in edges], -final))
        limits = np.full(len(properties), np.inf)
        for constraint in problem.constraints:
            i = properties.index(constraint.objective)
            largest = _largest_sum(along[i], constraint, shortest[0][0, i], longest[0][0, i])
            limits[i] = min(limits[i], largest)
        return cls(
            problem=problem,
            graph=graph,
            properties=tuple(properties),
            along=tuple(along),
            edges=tuple(edges),
            final=final,
            shortest_rest=shortest,
            longest_rest=longest,
            limits=limits,
        )

    @property
    def shortest(self) -> FloatArray:
        """The smallest sum of each property over all paths, (p,)."""
        return np.asarray(self.shortest_rest[0][0])

    @property
    def longest(self) -> FloatArray:
        """The largest sum of each property over all paths, (p,)."""
        return np.asarray(self.longest_rest[0][0])

    @property
    def enough(self) -> FloatArray:
        """Sums of whole paths that need not be any smaller, (p,).

        Those that meet the constraints for sure, where a property is constrained only. Of
        objectives less is always better, so theirs are minus infinity.
        """
        room = 2 * _ROOM * _ROUNDING * np.maximum(np.abs(self.shortest), np.abs(self.longest))
        is_objective = np.arange(len(self.limits)) < len(self.problem.objectives)
        return np.where(is_objective, -np.inf, self.limits - room)

    def enough_before(self, k: int) -> FloatArray:
        """Sums that suffice in each state before layer k, however a path goes on, (n_states, p)."""
        rest = self.longest_rest[k]
        return np.asarray(self.enough - np.where(rest > -np.inf, rest, 0.0))

    def sums(self, X: IntArray) -> FloatArray:
        """Minimised sums of canonical rows (n, d), (n, p)."""
        taken = self.graph.edges(X)
        total = np.zeros((len(X), len(self.properties)))
        for values, edge in zip(self.edges, taken.T, strict=True):
            total += values[edge]
        return total + self.final[self.graph.layers[-1].target[taken[:, -1]]]

    def values(self, sums: FloatArray) -> FloatArray:
        """Minimised values of minimised sums, both (n, p)."""
        columns = zip(self.properties, self.along, sums.T, strict=True)
        return np.column_stack([p.sign * a.response(p.sign * column) for p, a, column in columns])

    def infeasible(self) -> InfeasibleError:
        """Error of constraints that nothing meets, with what could be attained of each alone."""
        space, constraints = self.problem.space.name, self.problem.constraints
        best = self.values(self.shortest[None])[0]
        attainable, excess = [], []
        for constraint in constraints:
            one = constraint.objective
            value = best[self.properties.index(one)]
            which = "smallest" if one.sense == "min" else "largest"
            text = apart(one.sign * value, constraint.limit, 6)
            attainable.append(f"the {which} attainable {one.column} is {text}")
            excess.append((value - one.sign * constraint.limit) / constraint.unit)
        tightest = int(np.argmax(excess))
        if excess[tightest] > 0:
            return InfeasibleError(
                f"{constraints[tightest]} must hold, but of all of {space} "
                f"{attainable[tightest]}. Relax that limit."
            )
        return InfeasibleError(
            f"{' and '.join(map(str, constraints))} must hold, but no architecture of {space} "
            f"meets all of that. Of each alone: {', '.join(attainable)}. Relax one of the limits."
        )


def why_none(problem: Problem) -> str:
    """Says why a problem has no sums along paths, and the way out, for errors."""
    space = problem.space.name
    if graph_of(problem.space) is None:
        return f"{space} is not layered. Narrow it until it can be enumerated, or use `nsga2`."
    return (
        f"not all that is asked of {space} does. Predict accuracy by `additive`, narrow the space, "
        "or use `nsga2`."
    )


def _shortest_rest(
    graph: LayeredGraph, edges: Sequence[FloatArray], final: FloatArray
) -> tuple[FloatArray, ...]:
    """Least sum from each state to the end of a path, by Bellman's recursion, backwards."""
    rests = [final]
    for layer, values in zip(graph.layers[::-1], edges[::-1], strict=True):
        before = np.full(final.shape, np.inf)
        np.minimum.at(before, layer.source, values + rests[-1][layer.target])
        rests.append(before)
    return tuple(rests[::-1])


def _largest_sum(
    along: PathValues, constraint: Constraint, shortest: float, longest: float
) -> float:
    """The largest minimised sum that meets a limit, with room for rounding; infinite if all do."""
    sign = constraint.objective.sign
    room = _ROUNDING * max(abs(shortest), abs(longest))

    def excess(total: float) -> float:
        return float(sign * (along.response(np.array([sign * total]))[0] - constraint.limit))

    low, high = shortest - room, longest + room
    if excess(high) <= 0:
        return np.inf
    if excess(low) > 0:
        return -np.inf
    return float(brentq(excess, low, high, xtol=room)) + _ROOM * room
