"""Layouts of chains that users wrote as stages."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tailorbird.spaces.chains.chain import Edge
from tailorbird.spaces.chains.stage_paths import ElasticStage, StagePaths
from tailorbird.spaces.footprint import costs
from tailorbird.spaces.space import IntArray, Variable
from tailorbird.spaces.workload import Workload


@dataclass(frozen=True, eq=False)
class ElasticLayout:
    """What the networks of an elastic space are made of, and how their rows read.

    Attributes:
        name: with settings, except the batch size.
        input_shape: batch first.
        first: workloads that every network begins with.
        paths: of its stages.
        last: workloads that a network ends with, by the state behind its last edge.
    """

    name: str
    input_shape: tuple[int, ...]
    first: tuple[Workload, ...]
    paths: StagePaths
    last: tuple[tuple[Workload, ...], ...]

    @property
    def variables(self) -> tuple[Variable, ...]:
        """Depth of each stage that has several, and the options of each of its slots."""
        return self.paths.variables

    @property
    def edges(self) -> tuple[tuple[Edge, ...], ...]:
        """Edges of each variable."""
        return self.paths.edges

    @property
    def landmarks(self) -> IntArray:
        """The network of fewest multiply-adds, that of all middle choices, and that of most.

        Rows (k, d), each once. Imports torch.
        """
        ends = (w for last in self.last for w in last)
        between = (w for layer in self.edges for edge in layer for w in edge.workloads)
        workloads = tuple(dict.fromkeys([*between, *ends]))
        macs = dict(zip(workloads, costs(workloads)[:, 0].tolist(), strict=True))
        middle = np.array([[len(variable.choices) // 2 for variable in self.variables]])
        rows = [self._extreme(macs, 1), *self.repair(middle).tolist(), self._extreme(macs, -1)]
        return np.array([*dict.fromkeys(map(tuple, rows))], dtype=np.int64)

    def repair(self, X: IntArray) -> IntArray:
        """Sets the variables of unused slots to 0."""
        return self.paths.repair(X)

    def describe(self, row: IntArray) -> str:
        """Width, and depth or each block's options, by stage: `inner=2 inner=4 | to=16 depth=3`."""
        stages = []
        for stage, blocks in zip(self.paths.stages, self.paths.blocks(row), strict=True):
            first = blocks[0] if blocks else ()
            shared = [f"{name}={value}" for name, value in zip(stage.shared, first, strict=False)]
            texts = [_options_of(stage, values) for values in blocks]
            told = texts if any(texts) else [f"depth={len(blocks)}"]
            stages.append(" ".join([*shared, *told]))
        return " | ".join(stages)

    def _extreme(self, macs: Mapping[Workload, int], sign: int) -> list[int]:
        """Choices of the path whose sum is least, or, with a sign of -1, most; the first of equals.

        Args:
            macs: of each workload.
            sign: that sums are multiplied by.
        """
        least = {state: sign * sum(map(macs.__getitem__, w)) for state, w in enumerate(self.last)}
        taken: list[dict[int, Edge]] = []
        for layer in reversed(self.edges):
            sums: dict[int, int] = {}
            best: dict[int, Edge] = {}
            for edge in layer:
                total = sign * sum(map(macs.__getitem__, edge.workloads)) + least[edge.target]
                if edge.source not in sums or total < sums[edge.source]:
                    sums[edge.source], best[edge.source] = total, edge
            least = sums
            taken.append(best)
        row, state = list[int](), 0
        for best in reversed(taken):
            row.append(best[state].choice)
            state = best[state].target
        return row


def _options_of(stage: ElasticStage, values: tuple[object, ...]) -> str:
    """Options that a block has, with their values."""
    n = len(stage.shared)
    told = [
        f"{name}={value}"
        for i, (name, value) in enumerate(zip(stage.options, values[n:], strict=True), n)
        if stage.uses(name, values[:i])
    ]
    return ",".join(told)
