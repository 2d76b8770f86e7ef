"""Rows, spaces and objectives for tests of properties."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tailorbird.spaces import FloatArray, IntArray, SearchSpace


def rows(space: SearchSpace, most: int = 8) -> st.SearchStrategy[IntArray]:
    """Rows (n, d) within the choices of a space, seldom canonical."""
    column = [st.integers(0, len(variable.choices) - 1) for variable in space.variables]
    return st.lists(st.tuples(*column), min_size=1, max_size=most).map(
        lambda drawn: np.array(drawn, dtype=np.int64)
    )


def canonical_rows(space: SearchSpace, most: int = 8) -> st.SearchStrategy[IntArray]:
    """Canonical rows (n, d) of a space."""
    return rows(space, most).map(space.repair)


def objectives(most: int = 12) -> st.SearchStrategy[FloatArray]:
    """Minimised values (n, m) of at most so many networks, with ties."""
    shape = st.tuples(st.integers(1, most), st.integers(1, 3))
    return arrays(np.float64, shape, elements=st.integers(0, 4).map(float))


def rows_within(space: SearchSpace, n: int, seed: int) -> IntArray:
    """Rows (n, d) drawn uniformly from the choices of each variable, seldom canonical."""
    rng = np.random.default_rng(seed)
    n_choices = [len(variable.choices) for variable in space.variables]
    return rng.integers(n_choices, size=(n, len(n_choices)))


def distinct_rows(space: SearchSpace, n: int) -> IntArray:
    """At most n distinct canonical rows, reference architectures among them."""
    drawn = space.sample(10 * n, np.random.default_rng(0))
    X = np.unique(np.vstack([space.landmarks, drawn]), axis=0)
    return np.random.default_rng(1).permutation(X)[:n]
