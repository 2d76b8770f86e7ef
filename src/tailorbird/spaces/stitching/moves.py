"""Mutation of stitched networks."""

from collections.abc import Sequence

import numpy as np

from tailorbird.spaces.layered import LayeredGraph
from tailorbird.spaces.space import IntArray
from tailorbird.spaces.stitching.stitch import Stitch

_MOVE, _ADD, _REMOVE = range(3)


class StitchMoves:
    """Moves, adds or removes one stitch of each route.

    A stitch moves to another place between the same two anchors. One is added where the route
    passes, or before it, so that the route begins in another anchor; in reverse, a route whose
    first stitch is removed begins where that led, or, if it was the only one, there or where it
    did. What no longer continues a route is dropped when it is repaired.

    Another choice for a variable seldom continues the route, so that it mostly removes a stitch.
    With these steps instead, the hypervolume after 1,000 evaluations was larger in three of four
    problems, by 0.1 to 0.7 %, and in the fourth the same.

    Args:
        graph: of the routes, whose second layer is that of the first slot.
        stitches: at least one, in the order of a slot's choices behind none.
    """

    def __init__(self, graph: LayeredGraph, stitches: Sequence[Stitch]) -> None:
        start, slot = graph.layers[:2]
        self._begin = start.target[start.edges[0]]
        self._enter = np.where(slot.edges >= 0, slot.target[slot.edges], -1)
        self._source = np.array([stitch.source for stitch in stitches])
        self._target = np.array([stitch.target for stitch in stitches])

    def __call__(self, X: IntArray, rng: np.random.Generator) -> IntArray:
        """Rows (n, 1 + slots), each one step from a canonical one of X, (n, 1 + slots)."""
        n, n_slots = X.shape[0], X.shape[1] - 1
        rows, slots = np.arange(n), X[:, 1:]
        n_used = np.count_nonzero(slots, axis=1)
        kind = np.asarray(rng.integers(3, size=n))
        kind[n_used == 0] = _ADD
        kind[(kind == _ADD) & (n_used == n_slots)] = _MOVE
        moves, adds, removes = (kind == k for k in (_MOVE, _ADD, _REMOVE))
        place = rng.integers(n_used + adds)
        heads = rng.random(n) < 0.5
        before = adds & (place == 0) & heads

        present = np.where(adds, 0, slots[rows, np.minimum(place, n_slots - 1)]) - 1
        allowed = self._enter[self._state(X)[rows, place], 1:] >= 0
        allowed[before] = self._target == X[before, :1]
        allowed[moves] &= self._target == self._target[present[moves], None]
        allowed[rows[moves], present[moves]] = False
        new = np.argmax(allowed * rng.random(allowed.shape), axis=1)
        done = removes | allowed.any(axis=1)

        # Slots behind one that is added go right by one, those behind one that is removed left.
        position = np.arange(n_slots)
        origin = position - (adds[:, None] & (position > place[:, None]))
        origin += removes[:, None] & (position >= place[:, None])
        padded = np.hstack([slots, np.zeros((n, 1), dtype=np.int64)])
        moved = X.copy()
        moved[:, 1:] = np.take_along_axis(padded, origin, axis=1)
        put = ~removes
        moved[rows[put], 1 + place[put]] = 1 + new[put]
        moved[before, 0] = self._source[new[before]]
        first = removes & (place == 0) & ((n_used > 1) | heads)
        moved[first, 0] = self._target[present[first]]
        return np.where(done[:, None], moved, X)

    def _state(self, X: IntArray) -> IntArray:
        """State of the graph before each slot and behind the last used one, (n, 1 + slots)."""
        states = np.empty(X.shape, dtype=np.int64)
        states[:, 0] = self._begin[X[:, 0]]
        for k, choice in enumerate(X.T[1:]):
            entered = self._enter[states[:, k], choice]
            states[:, k + 1] = np.where(choice > 0, entered, states[:, k])
        return states
