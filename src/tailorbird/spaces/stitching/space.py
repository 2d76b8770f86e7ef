"""Routes through the anchors of a family."""

from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array

from tailorbird.spaces.layered import Layer, LayeredGraph, stack_counts
from tailorbird.spaces.space import IntArray, Variable
from tailorbird.spaces.stitching.family import Family, Part
from tailorbird.spaces.stitching.windows import block_pairs
from tailorbird.spaces.workload import Workload

if TYPE_CHECKING:
    from torch import nn


class StitchSpace:
    """Stitched networks of a family, and its anchors, as a layered space.

    A route starts in one anchor and crosses at most `max_stitches` stitching layers, each into
    the next larger anchor. An encoding is (start, slot 1, …, slot S); a slot is 0 for none, or a
    (from, exit block, entry block). Blocks up to and including the exit block run in `from`, and
    blocks from the entry block on in the next anchor.

    References:
        Pan, Cai, Zhuang: Stitchable Neural Networks. CVPR 2023.
    """

    def __init__(self, family: Family, *, kernel: int, stride: int, max_stitches: int) -> None:
        for law, value in (
            ("kernel", kernel),
            ("stride", stride),
            ("max_stitches + 1", max_stitches + 1),
        ):
            if value < 1:
                raise ValueError(f"`{law} >= 1` must hold, but got {value}.")
        self.family = family
        self.kernel, self.stride = kernel, stride
        self.name = f"{family.name}(kernel={kernel},stride={stride},max_stitches={max_stitches})"
        self.max_stitches = max_stitches
        self.layer_of = block_pairs(family.depth, kernel, stride) if max_stitches else {}
        n_anchors = len(family.anchors)
        self._stitches = [(a, *pair) for a in range(n_anchors - 1) for pair in self.layer_of]

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of a whole network's input."""
        return self.family.input_shape

    @cached_property
    def variables(self) -> tuple[Variable, ...]:
        """`start`, then one variable per slot."""
        names = self.family.anchors
        slots = (
            "none",
            *(f"{names[a]}:{leave}>{names[a + 1]}:{enter}" for a, leave, enter in self._stitches),
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
    def workloads(self) -> tuple[Workload, ...]:
        """Distinct workloads of all parts."""
        return tuple(dict.fromkeys(self.family.workload(part) for part in self.parts))

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """Every part that a network of this space can have."""
        n_anchors, depth = len(self.family.anchors), self.family.depth
        n_layers = len(set(self.layer_of.values()))
        return (
            *(Part("embedding", a) for a in range(n_anchors)),
            *(Part("block", a, i) for a in range(n_anchors) for i in range(depth)),
            *(Part("stitch", a, k) for a in range(n_anchors - 1) for k in range(n_layers)),
            *(Part("head", a) for a in range(n_anchors)),
        )

    def with_at_most(self, n_stitches: int) -> "StitchSpace":
        """The same space with fewer slots; its rows have routes here too."""
        return StitchSpace(
            self.family, kernel=self.kernel, stride=self.stride, max_stitches=n_stitches
        )

    def route(self, row: IntArray) -> tuple[Part, ...]:
        """The parts of one canonical row, in the order in which they run."""
        anchor, entry = int(row[0]), 0
        parts = [Part("embedding", anchor)]
        for choice in row[1:][row[1:] > 0]:
            anchor, leave, enter = self._stitches[int(choice) - 1]
            parts += [Part("block", anchor, i) for i in range(entry, leave + 1)]
            parts.append(Part("stitch", anchor, self.layer_of[leave, enter]))
            anchor, entry = anchor + 1, enter
        parts += [Part("block", anchor, i) for i in range(entry, self.family.depth)]
        return (*parts, Part("head", anchor))

    def build(self, row: IntArray) -> "nn.Module":
        """The network of one canonical row with fresh weights. Imports torch."""
        from torch import nn

        return nn.Sequential(*(self.family.workload(part).build() for part in self.route(row)))

    def describe(self, row: IntArray) -> str:
        """`w4:0-2 > w8:3-5`: the blocks that run in each anchor, both ends included."""
        runs: dict[int, list[int]] = {}
        for part in self.route(row):
            if part.kind == "block":
                runs.setdefault(part.anchor, []).append(part.index)
        return " > ".join(f"{self.family.anchors[a]}:{b[0]}-{b[-1]}" for a, b in runs.items())

    def kind(self, row: IntArray) -> str:
        """`anchor` or `stitched`."""
        return "stitched" if row[1:].any() else "anchor"

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

    @property
    def size(self) -> int:
        """Exact number of distinct routes, anchors included."""
        return self.graph.size

    def enumerate(self, chunk: int = 65_536) -> Iterator[IntArray]:
        """Each canonical row once."""
        return self.graph.enumerate(chunk)

    def sample(self, n: int, rng: np.random.Generator) -> IntArray:
        """Canonical rows, uniform over distinct routes."""
        return self.graph.sample(n, rng)

    def count_workloads(self, X: IntArray) -> csr_array:
        """How often each canonical row needs each workload."""
        return self.graph.count(X)

    # States of the graph: 0 is the root, 1 the end, the others (anchor, entry block).

    def _state(self, anchor: IntArray, entry: int) -> IntArray:
        return 2 + anchor * self.family.depth + entry

    @cached_property
    def _next_state(self) -> IntArray:
        """State after each (state, slot choice); -1 where the stitch does not continue it."""
        n_anchors, depth = len(self.family.anchors), self.family.depth
        table = np.full((2 + n_anchors * depth, 1 + len(self._stitches)), -1, dtype=np.int64)
        table[1:, 0] = 1
        for choice, (a, leave, enter) in enumerate(self._stitches, start=1):
            for entry in range(leave + 1):
                table[2 + a * depth + entry, choice] = 2 + (a + 1) * depth + enter
        return table

    @cached_property
    def graph(self) -> LayeredGraph:
        """The space as layers of states; what all of its routes have in common."""
        index = {workload: i for i, workload in enumerate(self.workloads)}
        n_anchors, depth, table = len(self.family.anchors), self.family.depth, self._next_state

        def cost(*parts: Part) -> dict[int, int]:
            return dict(Counter(index[self.family.workload(part)] for part in parts))

        def rest(state: int) -> dict[int, int]:
            """Ending in a state: its anchor's remaining blocks and head."""
            if state < 2:
                return {}
            a, entry = divmod(state - 2, depth)
            return cost(*(Part("block", a, i) for i in range(entry, depth)), Part("head", a))

        def crossing(state: int, choice: int) -> dict[int, int]:
            a, leave, enter = self._stitches[choice - 1]
            blocks = (Part("block", a, i) for i in range((state - 2) % depth, leave + 1))
            return cost(*blocks, Part("stitch", a, self.layer_of[leave, enter]))

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
