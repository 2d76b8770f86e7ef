"""Layouts of chains whose layers all choose among the same operators, such as FBNet's."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, groupby

import numpy as np

from tailorbird.spaces.chains.chain import Edge
from tailorbird.spaces.chains.workloads import Shape, strided
from tailorbird.spaces.space import IntArray, Variable
from tailorbird.spaces.workload import Workload

Options = tuple[tuple[Workload, ...], ...]
"""The workloads of each choice of a layer, none for an identity."""

_OPEN, _CLOSED = 0, 1


@dataclass(frozen=True, eq=False)
class OperatorLayers:
    """Layers in stages, each with a variable of the same choices.

    Where an identity and a block follow each other in layers with equal options, they can change
    places without changing the network: within a run of such layers, canonical rows have their
    identities last.

    Attributes:
        name: with settings, except the batch size.
        layer_names: of the variables.
        choices: of every variable.
        input_shape: batch first.
        first: workloads that every network begins with.
        stages: options of each layer, by stage.
        last: workloads that every network ends with, in a tuple of one: all end in state 0.
        landmarks: reference architectures as canonical rows (k, d).
    """

    name: str
    layer_names: tuple[str, ...]
    choices: tuple[str, ...]
    input_shape: tuple[int, ...]
    first: tuple[Workload, ...]
    stages: tuple[tuple[Options, ...], ...]
    last: tuple[tuple[Workload, ...]]
    landmarks: IntArray

    @property
    def variables(self) -> tuple[Variable, ...]:
        """One variable per layer."""
        return tuple(Variable(name, self.choices) for name in self.layer_names)

    @property
    def edges(self) -> tuple[tuple[Edge, ...], ...]:
        """Edges of each layer; state 1 is a run that holds an identity already, 0 the rest."""
        layers = []
        for options, length in self._runs:
            for i in range(length):
                ends = i == length - 1
                after_identity = _OPEN if ends else _CLOSED
                targets = [_OPEN if workloads else after_identity for workloads in options]
                edges = [
                    Edge(_OPEN, choice, target, workloads)
                    for choice, (target, workloads) in enumerate(zip(targets, options, strict=True))
                ]
                if i > 0 and () in options:
                    edges.append(Edge(_CLOSED, options.index(()), after_identity))
                layers.append(tuple(edges))
        return tuple(layers)

    def repair(self, X: IntArray) -> IntArray:
        """Moves identities to the end of their run."""
        out, first = X.copy(), 0
        for options, length in self._runs:
            if () in options:
                run = X[:, first : first + length]
                order = np.argsort(run == options.index(()), axis=1, kind="stable")
                out[:, first : first + length] = np.take_along_axis(run, order, axis=1)
            first += length
        return out

    def describe(self, row: IntArray) -> str:
        """`Identity MB3_K3 | MB6_K5 …`: the choice of each layer, by stage."""
        texts = iter([self.choices[choice] for choice in row])
        return " | ".join(" ".join(next(texts) for _ in stage) for stage in self.stages)

    @property
    def _runs(self) -> list[tuple[Options, int]]:
        """Runs of layers with equal options, as (options, number of layers)."""
        layers = chain.from_iterable(self.stages)
        return [(options, len(list(run))) for options, run in groupby(layers)]


def options_of(
    shape: Shape,
    stages: Sequence[tuple[int, int, int]],
    options: Callable[[Shape, int, int], Options],
) -> tuple[tuple[tuple[Options, ...], ...], Shape]:
    """Options of each layer, by stage, and the shape behind the last one.

    Args:
        shape: before the first stage.
        stages: (depth, width, stride) of each; its first layer alone changes the shape.
        options: of a layer, from its input's shape, its width and its stride.
    """
    layers = []
    for depth, to, stride in stages:
        begin = options(shape, to, stride)
        shape = strided(shape, to, stride)
        layers.append((begin, *(options(shape, to, 1),) * (depth - 1)))
    return tuple(layers), shape
