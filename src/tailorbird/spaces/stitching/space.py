"""Spaces of stitched networks: routes through the anchors of a family."""

from collections import Counter
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np

from tailorbird.errors import require
from tailorbird.spaces.layered import Layer, LayeredGraph, LayeredSpace, not_canonical, stack_counts
from tailorbird.spaces.outline import Outline
from tailorbird.spaces.shared import Piece
from tailorbird.spaces.space import IntArray, Variable
from tailorbird.spaces.stitching.family import Family, Part
from tailorbird.spaces.stitching.moves import StitchMoves
from tailorbird.spaces.stitching.order import check_anchors, check_stitches
from tailorbird.spaces.stitching.outline import outline_of
from tailorbird.spaces.stitching.stitch import Rule, workload_of
from tailorbird.spaces.workload import Workload

if TYPE_CHECKING:
    from torch import nn


_MOST_STITCHES = 200  # in a route, of which each leaves a block behind


class StitchSpace(LayeredSpace):
    """Layered space of the stitched networks of a family, and of its anchors.

    A route starts in one anchor and crosses at most `max_stitches` stitches. An encoding is
    (start, slot 1, …, slot S); a slot is 0 for none, or a stitch. Blocks up to and including the
    one that a stitch leaves run in its source, and blocks from the one that it enters on in its
    target; in every anchor that a route crosses, at least one block runs.

    Args:
        family: of the anchors.
        rule: which stitches there are.
        max_stitches: in one route.

    Raises:
        ContractError: if the anchors cannot be told apart, or stitches lead nowhere.

    References:
        Pan, Cai, Zhuang: Stitchable Neural Networks. CVPR 2023.
    """

    def __init__(self, family: Family, rule: Rule, *, max_stitches: int) -> None:
        if not 0 <= max_stitches <= _MOST_STITCHES:
            raise ValueError(
                f"`0 <= max_stitches <= {_MOST_STITCHES}` must hold, but got {max_stitches}."
            )
        check_anchors(family)
        self.family = family
        self.rule = rule
        self.name = f"{family.name}({rule},max_stitches={max_stitches})"
        self.max_stitches = max_stitches
        self.stitches = rule.stitches(family) if max_stitches else ()
        check_stitches(family, self.stitches)
        self.depths = tuple(sum(stages) for stages in family.stages)
        self._workload_of_stitch = {s.part: workload_of(family, s) for s in self.stitches}

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of a whole network's input."""
        return self.family.input_shape

    @cached_property
    def variables(self) -> tuple[Variable, ...]:
        """Variable `start`, then one variable per slot."""
        names = self.family.anchors
        slots = (
            "none",
            *(f"{names[s.source]}:{s.leave}>{names[s.target]}:{s.enter}" for s in self.stitches),
        )
        return (
            Variable("start", names),
            *(Variable(f"stitch_{s + 1}", slots) for s in range(self.max_stitches)),
        )

    @cached_property
    def landmarks(self) -> IntArray:
        """The anchors, (n_anchors, d)."""
        X = np.zeros((len(self.family.anchors), len(self.variables)), dtype=np.int64)
        X[:, 0] = np.arange(len(X))
        return X

    @cached_property
    def crossings(self) -> IntArray:
        """Networks that cross one stitch, in the order of `stitches`, (n_stitches, d)."""
        X = np.zeros((len(self.stitches), len(self.variables)), dtype=np.int64)
        if len(X):  # else there may be no slot
            X[:, 0] = [stitch.source for stitch in self.stitches]
            X[:, 1] = 1 + np.arange(len(X))
        return X

    @cached_property
    def workloads(self) -> tuple[Workload, ...]:
        """Distinct workloads of all parts."""
        return tuple(dict.fromkeys(self.workload(part) for part in self.parts))

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """Every part that a network of this space can have."""
        anchors = range(len(self.family.anchors))
        return (
            *(Part("embedding", a) for a in anchors),
            *(Part("block", a, i) for a in anchors for i in range(self.depths[a])),
            *(Part("head", a) for a in anchors),
            *self._workload_of_stitch,  # last: what anchors draw does not depend on stitches
        )

    @cached_property
    def pieces(self) -> tuple[Piece, ...]:
        """Every part, with weights of its own."""
        return tuple(map(self.piece, self.parts))

    def piece(self, part: Part) -> Piece:
        """Piece that any part is."""
        return Piece(part.kind, str(part), self.workload(part))

    def workload(self, part: Part) -> Workload:
        """The workload of any part."""
        if part.kind == "stitch":
            return self._workload_of_stitch[part]
        return self.family.workload(part)

    def with_at_most(self, n_stitches: int) -> "StitchSpace":
        """The same space with another number of slots.

        A route that is in both spaces has the same row in both, but for nones at its end.
        """
        return StitchSpace(self.family, self.rule, max_stitches=n_stitches)

    def with_stitches(self, rule: Rule) -> "StitchSpace":
        """The space of the same anchors with the stitches of another rule."""
        return StitchSpace(self.family, rule, max_stitches=self.max_stitches)

    def route(self, row: IntArray) -> tuple[Piece, ...]:
        """The pieces of one canonical row, in the order in which they run.

        Raises:
            ValueError: if it is not a canonical row of this space.
        """
        return tuple(map(self.piece, self.parts_of(row)))

    def parts_of(self, row: IntArray) -> tuple[Part, ...]:
        """The parts of one canonical row, in the order in which they run.

        Raises:
            ValueError: if it is not a canonical row of this space.
        """
        self._check(row)
        anchor, entry = int(row[0]), 0
        parts = [Part("embedding", anchor)]
        for choice in row[1:][row[1:] > 0]:
            stitch = self.stitches[int(choice) - 1]
            parts += [Part("block", anchor, i) for i in range(entry, stitch.leave + 1)]
            parts.append(stitch.part)
            anchor, entry = stitch.target, stitch.enter
        parts += [Part("block", anchor, i) for i in range(entry, self.depths[anchor])]
        return (*parts, Part("head", anchor))

    def build(self, row: IntArray) -> "nn.Module":
        """The network of one canonical row with fresh weights. Imports torch."""
        require("torch")
        from torch import nn

        return nn.Sequential(*(piece.workload.build() for piece in self.route(row)))

    def describe(self, row: IntArray) -> str:
        """`w4:0-2 > w8:3-5`: the blocks that run in each anchor, both ends included."""
        anchor, entry, runs = int(row[0]), 0, []
        for choice in row[1:][row[1:] > 0]:
            stitch = self.stitches[int(choice) - 1]
            runs.append((anchor, entry, stitch.leave))
            anchor, entry = stitch.target, stitch.enter
        runs.append((anchor, entry, self.depths[anchor] - 1))
        return " > ".join(f"{self.family.anchors[a]}:{i}-{j}" for a, i, j in runs)

    def kind(self, row: IntArray) -> str:
        """`anchor` or `stitched`."""
        return "stitched" if row[1:].any() else "anchor"

    def outline(self, row: IntArray) -> Outline:
        """A row of blocks for each anchor, and the stitching layers of one canonical row."""
        taken = {*self.parts_of(row)}
        crossed = [self.stitches[int(choice) - 1] for choice in row[1:] if choice]
        return outline_of(self.family, taken, crossed)

    def repair(self, X: IntArray) -> IntArray:
        """Drops slots that do not continue the route, left to right, and packs nones last."""
        out = np.zeros_like(X)
        out[:, 0] = X[:, 0]
        state, filled = self._state(X[:, 0], 0), np.ones(len(X), dtype=np.int64)
        for slot in X.T[1:]:
            target = self._next_state[state, slot]
            rows = np.flatnonzero((slot > 0) & (target >= 0))
            out[rows, filled[rows]] = slot[rows]
            filled[rows] += 1
            state[rows] = target[rows]
        return out

    def mutation(self) -> StitchMoves | None:
        """Mutation that moves, adds or removes one stitch; None where there are no stitches."""
        return StitchMoves(self.graph, self.stitches) if self.stitches else None

    def _check(self, row: IntArray) -> None:
        """Refuses a row that is not canonical; faster than counting, for one row."""
        if len(row) == len(self.variables) and 0 <= row[0] < len(self.depths):
            state = int(self._first_state[row[0]])
            for choice in row[1:]:
                state = self._next_state[state, choice] if 0 <= choice <= len(self.stitches) else -1
                if state < 0:
                    break
            else:
                return
        raise not_canonical(self.name, row)

    # States of the graph: 0 is the root, 1 the end, the others (anchor, entry block).

    @cached_property
    def _first_state(self) -> IntArray:
        return np.array([2, *accumulate(self.depths, initial=2)][1:], dtype=np.int64)

    def _state(self, anchor: IntArray, entry: int) -> IntArray:
        return np.asarray(self._first_state[anchor] + entry)

    @cached_property
    def _next_state(self) -> IntArray:
        """State after each (state, slot choice); -1 where a stitch does not continue a route."""
        first = self._first_state
        table = np.full((first[-1], 1 + len(self.stitches)), -1, dtype=np.int64)
        table[1:, 0] = 1
        for choice, s in enumerate(self.stitches, start=1):
            before = first[s.source]
            table[before : before + s.leave + 1, choice] = first[s.target] + s.enter
        return table

    @cached_property
    def graph(self) -> LayeredGraph:
        """Graph with a layer for the start, and one and the same layer for each slot."""
        index = {workload: i for i, workload in enumerate(self.workloads)}
        n_anchors, table = len(self.family.anchors), self._next_state

        def cost(*parts: Part) -> dict[int, int]:
            return dict(Counter(index[self.workload(part)] for part in parts))

        def place(state: int) -> tuple[int, int]:
            anchor = int(np.searchsorted(self._first_state, state, side="right")) - 1
            return anchor, int(state - self._first_state[anchor])

        def rest(state: int) -> dict[int, int]:
            """Ending in a state: its anchor's remaining blocks and head."""
            if state < 2:
                return {}
            a, entry = place(state)
            return cost(
                *(Part("block", a, i) for i in range(entry, self.depths[a])), Part("head", a)
            )

        def crossing(state: int, choice: int) -> dict[int, int]:
            stitch, (a, entry) = self.stitches[choice - 1], place(state)
            blocks = (Part("block", a, i) for i in range(entry, stitch.leave + 1))
            return cost(*blocks, stitch.part)

        starts = np.arange(n_anchors)
        embeddings = [cost(Part("embedding", int(a))) for a in starts]
        start = Layer(
            source=np.zeros(n_anchors, dtype=np.int64),
            choice=starts,
            target=self._state(starts, 0),
            counts=stack_counts(embeddings, len(index)),
        )
        source, choice = np.nonzero(table >= 0)
        edges = [
            crossing(int(s), int(c)) if c else rest(int(s))
            for s, c in zip(source, choice, strict=True)
        ]
        slot = Layer(source, choice, table[source, choice], stack_counts(edges, len(index)))
        final = stack_counts([rest(s) for s in range(len(table))], len(index))
        return LayeredGraph((start,) + (slot,) * self.max_stitches, final)
