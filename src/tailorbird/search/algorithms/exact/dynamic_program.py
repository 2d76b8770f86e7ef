"""Exact fronts of layered spaces whose objectives add up along paths."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import moocore
import numpy as np
from numpy.typing import NDArray

from tailorbird.search.algorithms.exact.path_problem import PathProblem, why_none
from tailorbird.search.front import ParetoFront
from tailorbird.search.problem import Problem
from tailorbird.spaces import FloatArray, IntArray

MOST_LABELS = 2_000_000
"""Most labels of a layer; the front of a problem that needs more is no longer exact."""

_PORTION = 1_000_000  # labels that wait to be compared
_Steps = NDArray[np.int32]
"""Label of the layer before that each label goes on from, and the edge between them, (n, 2)."""


def pareto_paths(problem: Problem) -> ParetoFront:
    """The front of all paths, in memory for the beginnings of paths that may be on it.

    Layer by layer, each state keeps labels: beginnings of paths that end there and that no other
    one dominates. What is behind the state is the same for all of them, so none of the others can
    become better. Beginnings that cannot meet a constraint, however they go on, are left out; what
    is constrained only is compared as long as they might miss it. Sums are rounded as `PathSum`
    rounds them, and rounding keeps their order, so the front is that of an enumeration, digit by
    digit.

    Of more than `MOST_LABELS`, those in one cell of a grid are represented by one, and the front
    states the gap that comes of it. Constraints are met all the same: what is constrained has no
    cells.

    Raises:
        InfeasibleError: if no architecture meets the constraints.
        ValueError: if the space is not layered, if anything does not add up along its paths, or if
            there are too many labels and all properties are constrained.

    References:
        Martins: On a Multicriteria Shortest Path Problem. EJOR 16(2), 1984.
        Warburton: Approximation of Pareto Optima in Multiple-Objective, Shortest-Path Problems.
        Operations Research 35(1), 1987.
    """
    paths = PathProblem.of(problem)
    if paths is None:
        raise ValueError(
            "A dynamic program needs objectives and limits that add up along the paths of a "
            f"layered space, but {why_none(problem)}"
        )
    p = len(paths.properties)
    layer = {0: _Labels(np.zeros((1, p)), np.zeros((1, 2), dtype=np.int32), np.zeros(p))}
    trail = list[_Steps]()
    for k in range(len(paths.edges)):
        layer = _next_layer(paths, k, layer)
        trail.append(np.concatenate([labels.steps for labels in layer.values()]))
    sums = np.concatenate([one.sums + paths.final[state] for state, one in layer.items()])
    whole = np.flatnonzero((sums <= paths.limits).all(axis=1))
    whole = whole[moocore.is_nondominated(np.maximum(sums[whole], paths.enough))]
    front = ParetoFront.of(_rows(paths, trail, whole), problem, n_evaluations=problem.space.size)
    slack = np.max([labels.slack for labels in layer.values()], axis=0)
    if not slack.any():
        return replace(front, exact=True)
    return replace(front, gap=_gap(paths, front, slack))


@dataclass(frozen=True, slots=True, eq=False)
class _Labels:
    """Beginnings of paths that end in one state.

    Attributes:
        sums: minimised, (n, p).
        steps: to them, (n, 2).
        slack: by how much a beginning that was left out may be better than one that is here, (p,).
    """

    sums: FloatArray
    steps: _Steps
    slack: FloatArray


def _next_layer(paths: PathProblem, k: int, before: dict[int, _Labels]) -> dict[int, _Labels]:
    """Labels of each state behind layer k that has any.

    Raises:
        InfeasibleError: if none is left.
    """
    layer = paths.graph.layers[k]
    n_before = np.cumsum([0, *(len(labels.sums) for labels in before.values())])
    first = dict(zip(before, n_before, strict=False))
    reached = np.isin(layer.source, list(before))
    targets = np.unique(layer.target[reached])
    enough, rest = paths.enough_before(k + 1), paths.shortest_rest[k + 1]
    found = dict[int, _Labels]()
    for target in map(int, targets):
        grid = _Grid(enough[target], paths.limits, MOST_LABELS // len(targets))
        slack = np.zeros(len(paths.properties))
        for edge in np.flatnonzero(reached & (layer.target == target)):
            labels = before[layer.source[edge]]
            sums = labels.sums + paths.edges[k][edge]
            good = np.flatnonzero((sums + rest[target] <= paths.limits).all(axis=1))
            steps = np.empty((len(good), 2), dtype=np.int32)
            steps[:, 0], steps[:, 1] = first[layer.source[edge]] + good, edge
            grid.add(sums[good], steps)
            slack = np.maximum(slack, labels.slack)
        sums, steps = grid.labels()
        if len(sums):
            found[target] = _Labels(sums, steps, slack + grid.width)
    if not found:
        raise paths.infeasible()
    return found


class _Grid:
    """Labels of one state, of which the dominated ones are left out as they come.

    As long as there are not too many, cells have no width: each label has one of its own. Of those
    whose cells are at least as good throughout one stays, so one that was left out is better by a
    width at most. Widths only double, so that new cells are made of whole old ones.

    Args:
        enough: sums that need not be any smaller, (p,).
        limits: on sums, (p,); what is constrained has no cells.
        most: labels to keep.
    """

    def __init__(self, enough: FloatArray, limits: FloatArray, most: int) -> None:
        self.enough = enough
        self.has_cells = (limits == np.inf) & (enough == -np.inf)
        self.most = most
        self.width = np.zeros(len(limits))
        self._sums: list[FloatArray] = [np.empty((0, len(limits)))]
        self._steps: list[_Steps] = [np.empty((0, 2), dtype=np.int32)]
        self._n_waiting = 0

    def add(self, sums: FloatArray, steps: _Steps) -> None:
        """Takes in labels, sums (n, p) and steps (n, 2)."""
        self._sums.append(sums)
        self._steps.append(steps)
        self._n_waiting += len(sums)
        if self._n_waiting > _PORTION:
            self._settle()

    def labels(self) -> tuple[FloatArray, _Steps]:
        """Labels that are left, sums (n, p) and steps (n, 2)."""
        self._settle()
        return self._sums[0], self._steps[0]

    def _settle(self) -> None:
        sums, steps = np.concatenate(self._sums), np.concatenate(self._steps)
        keep = self._representatives(sums)
        while len(keep) > self.most:
            self._widen(sums)
            keep = self._representatives(sums)
        self._sums, self._steps, self._n_waiting = [sums[keep]], [steps[keep]], 0

    def _representatives(self, sums: FloatArray) -> IntArray:
        if not len(sums):
            return np.empty(0, dtype=np.int64)
        wide = self.width > 0
        cells = np.maximum(sums, self.enough)
        cells[:, wide] = np.floor(sums[:, wide] / self.width[wide])
        return np.flatnonzero(moocore.is_nondominated(cells))

    def _widen(self, sums: FloatArray) -> None:
        extent = np.where(self.has_cells, np.ptp(sums, axis=0), 0.0)
        # A front has about as many cells as each of all properties but one, so begin with more.
        n_cells = 2 * self.most ** (1 / max(int(np.count_nonzero(extent)) - 1, 1))
        self.width = np.where(self.width > 0, 2 * self.width, extent / n_cells)
        if (self.width >= 4 * extent).all():
            raise ValueError(
                f"A layer may have {MOST_LABELS:,} labels, but there are more that differ in what "
                "is limited, of which none can be left out. Limit less, or use `nsga2`."
            )


def _rows(paths: PathProblem, trail: Sequence[_Steps], label: IntArray) -> IntArray:
    """Paths (n, d) of labels (n,) of the last layer."""
    columns = np.empty((len(trail), len(label)), dtype=np.int64)
    for k in reversed(range(len(trail))):
        label, edge = trail[k][label].T
        columns[k] = paths.graph.layers[k].choice[edge]
    return columns.T


def _gap(paths: PathProblem, front: ParetoFront, slack: FloatArray) -> tuple[float, ...]:
    """Most that values of the front can improve, if sums can by their slack, (m,)."""
    sums = paths.sums(front.X)
    improved = np.maximum(sums - slack, paths.shortest)
    gap = (paths.values(sums) - paths.values(improved)).max(axis=0)
    return tuple(map(float, gap[: len(front.objectives)]))
