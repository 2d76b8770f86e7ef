"""Features of architectures that cost no training."""

from functools import cached_property
from typing import Literal, Protocol

import numpy as np
from scipy.sparse import csr_array

from tailorbird.predictors.choices import one_hot, ranked
from tailorbird.spaces import FloatArray, IntArray, SearchSpace
from tailorbird.spaces.footprint import count_costs
from tailorbird.spaces.layered import Layer, graph_of
from tailorbird.spaces.space import HasPaths

View = Literal["encoding", "totals", "places"]
_REFERENCE = 1500  # architectures that say what is usual in a space
_REFERENCE_EXTRA = 50
_SAME = 1e-9


class Extra(Protocol):
    """More features of a user's own, such as zero-cost scores."""

    def __call__(self, X: IntArray) -> FloatArray:
        """Features (n, k) of canonical rows (n, d)."""


class Features:
    """Features by which a regressor compares architectures.

    - `encoding`: one-hot encodings, and how often each workload occurs.
    - `totals`: sums of the attributes of the workloads (kernels, widths, …) of one operator at one
      resolution, and logarithms of multiply-adds and parameters: free statistics, which cost no
      training and so are known of every architecture.
    - `places`: the totals, and the attributes of what each choice adds where it is; of cells, what
      lies on each path from input to output.

    Both latter are scaled over the space, not over the samples, so that few samples do; what
    never varies, or always with another feature, is left out.

    Where workloads are not known, or the same in all networks, the encoding alone is left. Its
    places are the ranks of choices, where all of a variable read as numbers, and one-hot where
    not; its totals are both. Few samples tell little of each choice by itself, and more of a slope.

    Args:
        space: of the architectures.
        view: which of the three.
        extra: more features, scaled likewise, over fewer architectures.

    References:
        Dai, Wan, Zhang, Wu, He, Wei, Chen, Tian, Yu, Vajda, Gonzalez: FBNetV3: Joint
        Architecture-Recipe Search using Predictor Pretraining. CVPR 2021 (free statistics).
        Wei, Niu, Tang, Wang, Hu, Liang: NPENAS: Neural Predictor Guided Evolution for Neural
        Architecture Search. 2020 (paths).
    """

    def __init__(self, space: SearchSpace, view: View, extra: Extra | None = None) -> None:
        self.space = space
        self.view = view
        self.extra = extra
        self._extra_scale: tuple[FloatArray, FloatArray] | None = None

    def __call__(self, X: IntArray) -> FloatArray:
        """Features (n, p) of canonical rows (n, d).

        Raises:
            ValueError: if a row is not canonical in this space.
        """
        seen = self._raw(X)
        if self.view != "encoding":
            seen = (seen[:, self._kept] - self._mean) / self._std
        if self.extra is None:
            return np.asarray(seen)
        center, unit = self._scale_of(self.extra)
        return np.hstack([seen, (_values(self.extra, X) - center) / unit])

    @cached_property
    def width(self) -> int:
        """Number of features before those that never vary are left out, without extra ones."""
        return int(self._raw(self.space.landmarks[:1]).shape[1])

    def _raw(self, X: IntArray) -> FloatArray:
        counts = self.space.count_workloads(X)
        if self.view == "encoding":
            parts = [counts.toarray(), self._one_hot(X)]
        elif self._totals_vary:
            parts = self._totals(counts)
            parts += self._places(X) if self.view == "places" else []
        else:
            parts = [ranked(self.space.variables, X)]
            parts += [self._one_hot(X)] if self.view == "totals" else []
        return np.hstack(parts).astype(np.float64)

    def _scale_of(self, extra: Extra) -> tuple[FloatArray, FloatArray]:
        """Mean and std of extra features over a few architectures: they may cost seconds each."""
        if self._extra_scale is None:
            usual = _values(extra, self.space.sample(_REFERENCE_EXTRA, np.random.default_rng(0)))
            std = usual.std(axis=0)
            self._extra_scale = usual.mean(axis=0), np.where(std > _SAME, std, 1.0)
        return self._extra_scale

    def _places(self, X: IntArray) -> list[FloatArray]:
        if self._layers is not None:
            state = np.zeros(len(X), dtype=np.int64)
            found = []
            for k, (layer, table) in enumerate(self._layers):
                edge = layer.edges[state, X[:, k]]
                found.append(table[edge])
                state = layer.target[edge]
            return found
        if isinstance(self.space, HasPaths):
            return _of_paths(self.space.operations_on_paths(X))
        return [self._one_hot(X)]

    def _one_hot(self, X: IntArray) -> FloatArray:
        return one_hot(self.space.variables, X)

    def _totals(self, counts: csr_array) -> list[FloatArray]:
        return [(counts @ self._groups).toarray(), np.log1p(counts @ self._costs)]

    @cached_property
    def _totals_vary(self) -> bool:
        """True if workloads are known, and tell networks apart."""
        if not self.space.workloads:
            return False
        totals = np.hstack(self._totals(self.space.count_workloads(self._usual)))
        return bool((totals.std(axis=0) > _SAME).any())

    @cached_property
    def _attributes(self) -> FloatArray:
        """Attributes of each workload, 0 where it has no such one, and a 1, (n_workloads, q)."""
        workloads = [workload.numbers for workload in self.space.workloads]
        names = sorted({name for params in workloads for name in params})
        return np.array([[*(params.get(n, 0) for n in names), 1] for params in workloads], float)

    @cached_property
    def _groups(self) -> csr_array:
        """Attributes in columns of their operator and resolution, (n_workloads, n_groups * q)."""
        kinds = [(w.op, w.inputs[0][2:]) for w in self.space.workloads]
        index = {kind: i for i, kind in enumerate(dict.fromkeys(kinds))}
        spread = np.zeros((len(kinds), len(index), self._attributes.shape[1]))
        for row, kind in enumerate(kinds):
            spread[row, index[kind]] = self._attributes[row]
        return csr_array(spread.reshape(len(kinds), -1))

    @cached_property
    def _costs(self) -> FloatArray:
        """Multiply-adds and parameters of each workload, (n_workloads, 2)."""
        return count_costs(self.space).astype(np.float64)

    @cached_property
    def _layers(self) -> list[tuple[Layer, FloatArray]] | None:
        """Each layer with the attributes that its edges add, each that varies once, (e, q_varying).

        None of spaces that are not layered.
        """
        graph = graph_of(self.space)
        if graph is None:
            return None
        added = [layer.counts @ self._attributes for layer in graph.layers]
        tables = [table[:, _distinct(table)] for table in added]
        return [*zip(graph.layers, tables, strict=True)]

    @cached_property
    def _usual(self) -> IntArray:
        """Reference architectures and random ones, (n, d)."""
        drawn = self.space.sample(_REFERENCE, np.random.default_rng(0))
        return np.vstack([self.space.landmarks, drawn])

    @cached_property
    def _reference(self) -> FloatArray:
        return self._raw(self._usual)

    @cached_property
    def _kept(self) -> IntArray:
        """Columns that vary, each once; the first one if none does, as of a single network."""
        kept = _distinct(self._reference)
        return kept if len(kept) else np.zeros(1, dtype=np.int64)

    @cached_property
    def _mean(self) -> FloatArray:
        return np.asarray(self._reference[:, self._kept].mean(axis=0))

    @cached_property
    def _std(self) -> FloatArray:
        std = self._reference[:, self._kept].std(axis=0)
        return np.where(std > _SAME, std, 1.0)


def _values(extra: Extra, X: IntArray) -> FloatArray:
    """Extra features of rows (n, d), (n, k).

    Raises:
        ValueError: if they are not finite, or of another shape.
    """
    values = np.asarray(extra(X), dtype=np.float64)
    if values.ndim != 2 or len(values) != len(X) or not np.isfinite(values).all():
        raise ValueError(
            f"Extra features must be finite and of shape ({len(X)}, k), but "
            f"{np.sum(~np.isfinite(values))} of {values.shape=} are not finite."
        )
    return values


def _distinct(values: FloatArray) -> IntArray:
    """Columns of values (n, p) that vary, and are no multiple of an earlier one and a constant."""
    std = values.std(axis=0)
    varying = np.flatnonzero(std > _SAME)
    if not len(varying):
        return varying
    scaled = (values[:, varying] - values[:, varying].mean(axis=0)) / std[varying]
    alike = np.abs(scaled.T @ scaled) / len(scaled) > 1 - _SAME
    first = np.argmax(alike, axis=1)
    return np.asarray(varying[first == np.arange(len(varying))])


def _of_paths(operations: IntArray) -> list[FloatArray]:
    """What lies on each path (n, n_paths, n_operations), and the most, least and sum over paths.

    Operations are counted on live paths and -1 on dead ones.
    """
    live = operations[:, :, :1] >= 0
    counted = np.where(live, operations, 0)
    fewest = np.where(live, operations, operations.max() + 1).min(axis=1)
    pairs = counted[:, :, :, None] + counted[:, :, None, :]  # such as both kinds of convolution
    i, j = np.triu_indices(operations.shape[2], k=1)
    without = ((counted == 0) & live).sum(axis=1)
    parts = [
        *(live.sum(axis=1), counted.max(axis=1), counted.sum(axis=1), fewest, without),
        *(pairs.max(axis=1)[:, i, j], ((pairs == 0) & live[..., None]).sum(axis=1)[:, i, j]),
        np.concatenate([live, counted], axis=2).reshape(len(operations), -1),
    ]
    return [part.astype(np.float64) for part in parts]
