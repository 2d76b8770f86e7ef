"""The best network under several constraints, by mixed-integer programming."""

import time
from dataclasses import replace

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array

from tailorbird.search.algorithms.exact.path_problem import PathProblem, why_none
from tailorbird.search.front import ParetoFront
from tailorbird.search.problem import Problem
from tailorbird.search.settings import SearchSettings
from tailorbird.spaces import FloatArray, IntArray
from tailorbird.spaces.layered import LayeredGraph

_UNIT = 1e4  # range of objective and constraints, since HiGHS takes 1e-6 for zero
_STOPPED = 1  # by the time limit, as scipy reports it


def best(problem: Problem, *, seconds: float = 60.0) -> ParetoFront:
    """The network with the best first objective under all constraints, as a front of it.

    A network is a unit that flows through the graph of its space, along one edge of each layer;
    what adds up along its path is linear in the edges. Another constraint costs little, where a
    dynamic program has one more property to compare. HiGHS takes constraints for met that are
    missed by rounding; a network of which that is so is excluded, and the next one is looked for.

    Args:
        problem: on a layered space; its first objective and all constraints add up along paths.
        seconds: after which the best network so far is returned, with its gap. Only how good that
            is depends on the speed of the machine.

    Returns:
        One network. It is exact if no other is better by more than 1e-10 of the objective's range.

    Raises:
        InfeasibleError: if no architecture meets the constraints.
        TimeoutError: if none was found in time.
        ValueError: if the space is not layered, or anything does not add up along its paths.

    References:
        Huangfu, Hall: Parallelizing the Dual Revised Simplex Method. Mathematical Programming
        Computation 10(1), 2018 (HiGHS).
    """
    problem = replace(problem, objectives=problem.objectives[:1])
    paths = PathProblem.of(problem)
    if paths is None:
        raise ValueError(
            "An integer program needs an objective and limits that add up along the paths of a "
            f"layered space, but {why_none(problem)}"
        )
    if (paths.limits < paths.shortest).any():
        raise paths.infeasible()
    row, bound = _solved(paths, seconds)
    front = ParetoFront.of(row, problem, n_evaluations=problem.space.size)
    if bound is None:
        return replace(front, exact=True)
    bounds = np.full((1, len(paths.properties)), np.maximum(bound, paths.shortest[0]))
    missed = front.F[0, 0] - paths.values(bounds)[0, 0]
    return replace(front, gap=(max(float(missed), 0.0),))


def _solved(paths: PathProblem, seconds: float) -> tuple[IntArray, float | None]:
    """Best path (1, d), and a bound that no path's sum is below; None if it is proved the best.

    Raises:
        InfeasibleError: if no path meets the constraints.
        TimeoutError: if none was found in time.
    """
    problem, costs = paths.problem, _costs(paths)
    unit = _UNIT / (paths.longest[0] - paths.shortest[0] or 1.0)
    rules = [_one_unit_flows(paths.graph), *_within_limits(paths, costs)]
    end = time.monotonic() + seconds
    while True:
        solved = milp(
            unit * costs[:, 0],
            integrality=np.ones(len(costs), dtype=np.int64),
            bounds=Bounds(0, 1),
            constraints=rules,
            options={"time_limit": max(end - time.monotonic(), 0.0), "mip_rel_gap": 0.0},
        )
        if solved.x is None:
            if solved.status == _STOPPED:
                raise TimeoutError(
                    f"No network of {problem.space.name} within the limits was found in "
                    f"{seconds:g} s, nor was it proved that there is none. Give it more time, or "
                    "relax a limit."
                )
            raise paths.infeasible()
        row, taken = _path(paths.graph, solved.x)
        if (problem.violation(row, problem.minimised(row)) <= 0).all():
            return row, solved.mip_dual_bound / unit if solved.status == _STOPPED else None
        rules.append(LinearConstraint(taken[None], -np.inf, len(paths.edges) - 1))


def _within_limits(paths: PathProblem, costs: FloatArray) -> list[LinearConstraint]:
    """Constraints on what paths add up to; none if nothing is limited."""
    limited = paths.limits < np.inf
    if not limited.any():
        return []
    units = _UNIT / np.maximum(np.abs(paths.shortest), np.abs(paths.longest))[limited]
    spent = costs[:, limited] * units
    return [LinearConstraint(spent.T, -np.inf, paths.limits[limited] * units)]


def _costs(paths: PathProblem) -> FloatArray:
    """What each edge of all layers adds, minimised, (n, p); the last ones include the end."""
    costs = np.concatenate(paths.edges)
    last = paths.graph.layers[-1]
    costs[-len(last.source) :] += paths.final[last.target]
    return costs


def _one_unit_flows(graph: LayeredGraph) -> LinearConstraint:
    """Constraint that a unit enters state 0 of the first layer, and leaves each state it enters."""
    n_states, d = graph.final.shape[0], len(graph.layers)
    source = np.concatenate([k * n_states + layer.source for k, layer in enumerate(graph.layers)])
    target = np.concatenate(
        [(k + 1) * n_states + layer.target for k, layer in enumerate(graph.layers)]
    )
    edge = np.arange(len(source))
    balance = coo_array(
        (np.repeat([1.0, -1.0], len(edge)), (np.r_[target, source], np.r_[edge, edge])),
        shape=((d + 1) * n_states, len(edge)),
    ).tocsr()[: d * n_states]
    gained = np.zeros(d * n_states)
    gained[0] = -1.0
    return LinearConstraint(balance, gained, gained)


def _path(graph: LayeredGraph, flow: FloatArray) -> tuple[IntArray, FloatArray]:
    """The path (1, d) of a unit on edges (n,), and 1 on each edge that it takes, (n,)."""
    row, taken = np.empty((1, len(graph.layers)), dtype=np.int64), np.zeros(len(flow))
    state = first = 0
    for k, layer in enumerate(graph.layers):
        out = np.flatnonzero(layer.source == state)
        edge = out[flow[first + out].argmax()]
        row[0, k], state = layer.choice[edge], layer.target[edge]
        taken[first + edge] = 1.0
        first += len(layer.source)
    return row, taken


def search(problem: Problem, settings: SearchSettings) -> ParetoFront:
    """The best network; of the settings of a recipe, none matters."""
    return best(problem)
