"""Sorted networks: those of a step lie in each other."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from tailorbird.errors import ContractError
from tailorbird.spaces import IntArray, Piece, SharedSpace
from tailorbird.spaces.footprint import built_on_meta, count_macs
from tailorbird.spaces.shared import smallest_and_largest
from tailorbird.training.supernet.rules.rule import Rule, RuleInputs, Step

N_NESTED = 4
"""Networks of a step."""

_N_TRIED = 32  # steps, of which all networks must lie in each other

Shapes = Mapping[str, Mapping[str, Sequence[int]]]
"""Shapes of the weights of a network, by the names of its pieces and their own."""


def sorted_networks(inputs: RuleInputs) -> Rule:
    """Four networks a step, each a part of the one before; all learn from the labels.

    Four are drawn, and what they chose is sorted, variable by variable: the first network has the
    largest of all four choices of each variable, the last one the smallest. The paper sorts once,
    for all of training, and gives those few networks their weights. A search looks at all, so here
    each step has nested networks of its own.

    Raises:
        ContractError: if networks of the space do not lie in each other, however they are sorted.

    References:
        Valipour, Rezagholizadeh, Rajabzadeh, Kavehzadeh, Tahaei, Chen, Ghodsi: SortedNet, a Place
        for Every Network and Every Network in its Place. 2023.
    """
    ranks = size_ranks(inputs.space)

    def rows(step: Step) -> IntArray:
        X = np.stack([inputs.draw(step.rng) for _ in range(N_NESTED)])
        return inputs.space.repair(sorted_choices(X, ranks))

    _check_nested(inputs.space, ranks)
    return Rule(
        n_passes=N_NESTED,
        rows=rows,
        loss=lambda one: inputs.loss(one.logits, one.labels, one.images),
    )


def size_ranks(space: SharedSpace) -> list[IntArray]:
    """Rank of each choice of each variable by MACs, all else being as in the largest network."""
    largest = smallest_and_largest(space)[1]
    ranks = []
    for j, variable in enumerate(space.variables):
        X = np.tile(largest, (len(variable.choices), 1))
        X[:, j] = np.arange(len(variable.choices))
        macs = count_macs(space, space.repair(X))
        ranks.append(np.argsort(np.argsort(macs, kind="stable"), kind="stable"))
    return ranks


def sorted_choices(X: IntArray, ranks: Sequence[IntArray]) -> IntArray:
    """Rows (n, d) of the same choices, each variable's from its largest to its smallest."""
    columns = [
        column[np.argsort(-rank[column], kind="stable")]
        for column, rank in zip(X.T, ranks, strict=True)
    ]
    return np.stack(columns, axis=1)


def _check_nested(space: SharedSpace, ranks: Sequence[IntArray]) -> None:
    rng = np.random.default_rng(0)
    shapes = _ShapesOf(space)
    for _ in range(_N_TRIED):
        X = space.repair(sorted_choices(space.sample(N_NESTED, rng), ranks))
        for outer, inner in pairwise(X):
            outside = weights_outside(shapes(inner), shapes(outer))
            if outside is not None:
                raise ContractError(
                    "The rule sorted is for networks that lie in each other, but smaller ones of "
                    f"{space.name} have weights that larger ones lack, in {outside}. Take another "
                    "rule, such as single-path."
                )


def weights_outside(inner: Shapes, outer: Shapes) -> str | None:
    """Name of weights of a network that are no windows of those of another; None if all are."""
    for piece, of_inner in inner.items():
        of_outer = outer.get(piece, {})
        for name, shape in of_inner.items():
            within = of_outer.get(name, ())
            if len(within) != len(shape) or any(map(int.__gt__, shape, within)):
                return f"{piece}.{name}"
    return None


class _ShapesOf:
    """Shapes of the weights of networks; each piece is built once, without memory.

    Args:
        space: of the networks.
    """

    def __init__(self, space: SharedSpace) -> None:
        self._space = space
        self._of_form: dict[tuple[object, ...], dict[str, tuple[int, ...]]] = {}

    def __call__(self, row: IntArray) -> Shapes:
        return {piece.weights: self._of_piece(piece) for piece in self._space.route(row)}

    def _of_piece(self, piece: Piece) -> Mapping[str, Sequence[int]]:
        if piece.form not in self._of_form:
            module = built_on_meta(piece.workload.build)
            shapes = {name: tuple(p.shape) for name, p in module.named_parameters()}
            self._of_form[piece.form] = shapes
        return self._of_form[piece.form]
