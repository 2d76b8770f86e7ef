"""Features of the paths through a layered space, step by step."""

import numpy as np
from scipy.sparse import csr_array, hstack, vstack

from tailorbird.spaces import FloatArray, IntArray, SearchSpace
from tailorbird.spaces.footprint import costs
from tailorbird.spaces.layered import LayeredGraph, graph_of

_REFERENCE = 1500  # networks that say what is usual in a space


class PathFeatures:
    """Sums of features of the steps on the path of each row of a layered space.

    Features of a step are which edge it is, unless its state has no other; which choice that is in
    its layer, whatever the state; its multiply-adds and parameters, over their std in the space.

    Args:
        space: a layered one.

    Raises:
        ValueError: if it is none.
    """

    def __init__(self, space: SearchSpace) -> None:
        self.graph = layered(space)
        n_edges = [len(layer.source) for layer in self.graph.layers]
        self.first = np.cumsum([0, *n_edges])
        n_steps = self.first[-1] + self.graph.final.shape[0]
        is_choice = [np.bincount(layer.source)[layer.source] > 1 for layer in self.graph.layers]
        edge = np.flatnonzero(np.concatenate(is_choice))
        layer = np.repeat(np.arange(len(n_edges)), n_edges)[edge]
        choice = np.concatenate([layer.choice for layer in self.graph.layers])[edge]
        anywhere = np.unique(np.column_stack([layer, choice]), axis=0, return_inverse=True)[1]
        one_hots = [
            csr_array((np.ones(len(edge)), (edge, column)), shape=(n_steps, column.max() + 1))
            for column in (np.arange(len(edge)), anywhere.reshape(-1))
        ]
        of_workloads = costs(space.workloads).astype(np.float64)
        usual = space.count_workloads(space.sample(_REFERENCE, np.random.default_rng(0)))
        std = (usual @ of_workloads).std(axis=0)
        varies = std > 0
        counts = vstack([*(layer.counts for layer in self.graph.layers), self.graph.final])
        of_steps = csr_array(counts @ (of_workloads[:, varies] / std[varies]))
        self._features = csr_array(hstack([*one_hots, of_steps], format="csr"))

    @property
    def width(self) -> int:
        """Number of features, q."""
        return int(self._features.shape[1])

    def __call__(self, X: IntArray) -> FloatArray:
        """Features (n, q) of canonical rows (n, d).

        Raises:
            ValueError: if a row is not canonical.
        """
        edges = self.graph.edges(X)
        end = self.graph.layers[-1].target[edges[:, -1]]
        steps = np.column_stack([edges + self.first[:-1], end + self.first[-1]])
        n, n_taken = steps.shape
        ends = np.arange(0, steps.size + 1, n_taken)
        taken = csr_array(
            (np.ones(steps.size), steps.ravel(), ends), shape=(n, self._features.shape[0])
        )
        return np.asarray((taken @ self._features).toarray())

    def values(self, weights: FloatArray) -> tuple[tuple[FloatArray, ...], FloatArray]:
        """What each edge of each layer, and ending in each state, adds by weights (q,)."""
        *edges, final = np.split(self._features @ weights, self.first[1:])
        return tuple(edges), final


def layered(space: SearchSpace) -> LayeredGraph:
    """The graph of a layered space.

    Raises:
        ValueError: if it is none.
    """
    graph = graph_of(space)
    if graph is not None:
        return graph
    raise ValueError(
        f"Effects add up along the paths of a layered space, but {space.name} is none. "
        "Choose another model of accuracy."
    )
