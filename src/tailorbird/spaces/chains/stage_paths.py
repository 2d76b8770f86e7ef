"""Paths through stages of blocks: how many blocks each has, and what is chosen for each block."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from typing import Any, Protocol

import numpy as np

from tailorbird.spaces.chains.chain import Edge
from tailorbird.spaces.chains.workloads import Shape
from tailorbird.spaces.space import IntArray, Variable
from tailorbird.spaces.workload import Workload

_State = tuple[Shape, int, tuple[Any, ...]]
"""Shape of the activations, blocks that remain of the stage, and values chosen for the next one."""

_Step = Callable[[_State, Any], tuple[_State, tuple[Workload, ...]]]


class ElasticStage(Protocol):
    """Blocks one after the other: how many there may be, and what each of them chooses."""

    @property
    def depths(self) -> tuple[int, ...]:
        """Choices for the number of blocks; where there is one, it is no variable."""

    @property
    def shared(self) -> Mapping[str, tuple[Any, ...]]:
        """Choices that all blocks share, two at least, by the names of what is chosen."""

    @property
    def options(self) -> Mapping[str, tuple[Any, ...]]:
        """Choices of each block, two at least, by the names of what is chosen."""

    def uses(self, name: str, values: tuple[Any, ...]) -> bool:
        """True if a block has an option; one that does not has the first choice, and ignores it.

        Args:
            name: of the option.
            values: chosen before, in the order of `shared` and then `options`.
        """

    def block(self, shape: Shape, slot: int, values: tuple[Any, ...]) -> tuple[Workload, Shape]:
        """Workload of a block, and the shape of its output.

        Args:
            shape: of its input.
            slot: number of the stage's blocks before it; only whether it is 0 makes a difference.
            values: chosen for it, in the order of `shared` and then `options`.
        """


class StagePaths:
    """Graph of the networks that stages of blocks can be.

    Variables are in the order of the stages: `depth0`, then what its blocks share, such as `to0`,
    then for each of its slots, as many as the largest depth, a variable for each option:
    `inner0_0`, `inner0_1` and so on. Those of slots behind the depth, and of options that a block
    does not have, are 0 in canonical rows.

    Attributes:
        stages: as they were given.
        variables: the d columns of an encoding.
        edges: of each variable, in a tuple each; paths from state 0 are the canonical rows.
        ends: shape of the activations in each state behind the last variable.
    """

    def __init__(self, shape: Shape, stages: Sequence[ElasticStage]) -> None:
        self.stages = tuple(stages)
        self.variables: tuple[Variable, ...] = ()
        self.edges: tuple[tuple[Edge, ...], ...] = ()
        self._pending = Edge(0, 0, 0)  # what every network has before anything is chosen
        self._states: tuple[_State, ...] = ((shape, 0, ()),)
        for number, stage in enumerate(self.stages):
            self._pass(number, stage)
        self.ends = tuple(shape for shape, _, _ in self._states)

    def repair(self, X: IntArray) -> IntArray:
        """Sets the variables of unused slots to 0."""
        out, state = X.copy(), np.zeros(len(X), dtype=np.int64)
        for column, target in zip(out.T, self._targets, strict=True):
            column[target[state, column] < 0] = 0
            state = target[state, column]
        return out

    @cached_property
    def _targets(self) -> tuple[IntArray, ...]:
        """State that each (state, choice) enters, -1 where there is no edge, for each variable."""
        tables = []
        for layer, variable in zip(self.edges, self.variables, strict=True):
            n_states = 1 + max(edge.source for edge in layer)
            table = np.full((n_states, len(variable.choices)), -1)
            for edge in layer:
                table[edge.source, edge.choice] = edge.target
            tables.append(table)
        return tuple(tables)

    def blocks(self, row: IntArray) -> list[list[tuple[Any, ...]]]:
        """Values that each block of a canonical row has, by stage, in the order of `block`."""
        choices = iter(row)
        stages = []
        for stage in self.stages:
            depth = stage.depths[next(choices) if len(stage.depths) > 1 else 0]
            shared = tuple(values[next(choices)] for values in stage.shared.values())
            slots = [
                (*shared, *(values[next(choices)] for values in stage.options.values()))
                for _ in range(max(stage.depths))
            ]
            stages.append(slots[:depth])
        return stages

    def _pass(self, number: int, stage: ElasticStage) -> None:
        """Leads all states through one stage."""
        placed: dict[tuple[bool, Shape, tuple[Any, ...]], tuple[Workload, Shape]] = {}

        def enter(state: _State, depth: int) -> tuple[_State, tuple[Workload, ...]]:
            return (state[0], depth, ()), ()

        def choose(state: _State, value: object) -> tuple[_State, tuple[Workload, ...]]:
            shape, remain, values = state
            return (shape, remain, (*values, value) if remain else values), ()

        def place(state: _State, slot: int) -> tuple[_State, tuple[Workload, ...]]:
            shape, remain, values = state
            if not remain:
                return state, ()
            block = (slot == 0, shape, values)
            if block not in placed:
                placed[block] = stage.block(shape, slot, values)
            workload, behind = placed[block]
            shared = values[: len(stage.shared)] if remain > 1 else ()
            return (behind, remain - 1, shared), (workload,)

        self._add(f"depth{number}", stage.depths, enter, is_free=lambda _: True)
        for name, values in stage.shared.items():
            self._add(f"{name}{number}", values, choose, is_free=_remains)
        for slot in range(max(stage.depths)):
            for name, values in stage.options.items():
                is_free = partial(_is_free, stage, name)
                self._add(f"{name}{number}_{slot}", values, choose, is_free)
            self._add(f"stage{number}_{slot}", (slot,), place, is_free=_remains)

    def _add(
        self,
        name: str,
        values: Sequence[Any],
        step: _Step,
        is_free: Callable[[_State], bool],
    ) -> None:
        """Takes a step by each value; by the first alone where there is nothing to choose.

        A step without an alternative is joined to those before it, or to the first behind it.
        """
        after: dict[_State, int] = {}
        edges = []
        for source, state in enumerate(self._states):
            for choice, value in enumerate(values if is_free(state) else values[:1]):
                entered, workloads = step(state, value)
                target = after.setdefault(entered, len(after))
                edges.append(Edge(source, choice, target, workloads, (name,) * len(workloads)))
        self._states = tuple(after)
        if len(values) > 1:
            if not self.edges:
                edges = [_joined(self._pending, edge) for edge in edges]
            self.variables += (Variable(name, tuple(map(str, values))),)
            self.edges += (tuple(edges),)
        elif self.edges:
            joined = tuple(_joined(edge, edges[edge.target]) for edge in self.edges[-1])
            self.edges = (*self.edges[:-1], joined)
        else:
            self._pending = _joined(self._pending, edges[0])


def _remains(state: _State) -> bool:
    return state[1] > 0


def _is_free(stage: ElasticStage, name: str, state: _State) -> bool:
    return _remains(state) and stage.uses(name, state[2])


def _joined(edge: Edge, following: Edge) -> Edge:
    """Edge that does what two do, only one of which is a choice."""
    return Edge(
        edge.source,
        edge.choice + following.choice,  # of one, which is 0, or of the other
        following.target,
        edge.workloads + following.workloads,
        edge.places + following.places,
    )
