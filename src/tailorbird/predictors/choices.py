"""Choices of encodings: as features, and what each of them adds."""

from collections.abc import Sequence

import numpy as np

from tailorbird.predictors.prediction import Prediction
from tailorbird.spaces import FloatArray, IntArray, SearchSpace, Variable
from tailorbird.spaces.layered import LayeredGraph, check_width, refuse
from tailorbird.spaces.path_sum import PathValues


def one_hot(variables: Sequence[Variable], X: IntArray) -> FloatArray:
    """A column for each choice of each variable, 1 where a row (n, d) has it, (n, n_choices)."""
    check_choices(variables, X)
    n_choices = [len(variable.choices) for variable in variables]
    first = np.cumsum([0, *n_choices])
    out = np.zeros((len(X), first[-1]))
    out[np.arange(len(X))[:, None], X + first[:-1]] = 1.0
    return out


def ranked(variables: Sequence[Variable], X: IntArray) -> FloatArray:
    """Ranks of the choices of rows (n, d), where those of a variable are numbers; else one-hot."""
    columns = []
    for variable, chosen in zip(variables, X.T, strict=True):
        ranks = centred_ranks(variable)
        if ranks.any():
            columns.append(ranks[chosen][:, None])
        else:
            columns.append(one_hot([variable], chosen[:, None]))
    return np.hstack(columns)


def centred_ranks(variable: Variable) -> FloatArray:
    """Rank of each choice, with mean 0, (n_choices,); zeros unless all of them read as numbers."""
    try:
        numbers = np.array([float(choice) for choice in variable.choices])
    except ValueError:
        numbers = np.full(len(variable.choices), np.nan)
    if not np.isfinite(numbers).all():
        return np.zeros(len(numbers))
    ranks = np.unique(numbers, return_inverse=True)[1].astype(np.float64)
    return np.asarray(ranks - ranks.mean())


def check_choices(variables: Sequence[Variable], X: IntArray) -> None:
    """Refuses rows that are no encodings.

    Raises:
        ValueError: if a row does not have an index of a choice for each variable.
    """
    check_width(X, len(variables))
    most = np.array([len(variable.choices) for variable in variables])
    outside = ((X < 0) | (most <= X)).any(axis=1)
    if outside.any():
        refuse(X, int(np.argmax(outside)))


class ChoiceSum:
    """Sum of what the choices of a network add, for sure.

    Args:
        space: of the architectures.
        values: of each choice of each variable, one variable after the other, (n_choices,).
    """

    def __init__(self, space: SearchSpace, values: FloatArray) -> None:
        self.space = space
        ends = np.cumsum([len(variable.choices) for variable in space.variables])
        self.values = np.split(values, ends[:-1])

    def predict(self, X: IntArray) -> Prediction:
        """Sums of canonical rows (n, d), with std 0."""
        return Prediction(self.mean(X), np.zeros(len(X)))

    def mean(self, X: IntArray) -> FloatArray:
        """The sums alone, (n,)."""
        check_choices(self.space.variables, X)
        total = np.zeros(len(X))
        for values, chosen in zip(self.values, X.T, strict=True):
            total += values[chosen]
        return total

    def along(self, graph: LayeredGraph) -> PathValues:
        """What each step adds."""
        layers = zip(self.values, graph.layers, strict=True)
        edges = tuple(values[layer.choice] for values, layer in layers)
        return PathValues(edges, np.zeros(graph.final.shape[0]))
