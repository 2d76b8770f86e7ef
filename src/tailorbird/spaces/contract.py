"""Check of a user's search space against the contract `SearchSpace`."""

import math
from itertools import islice
from typing import Any

import numpy as np
from scipy.sparse import issparse

from tailorbird.errors import ContractError
from tailorbird.spaces.law import law
from tailorbird.spaces.pieces_contract import check_pieces
from tailorbird.spaces.shared import HasPieces
from tailorbird.spaces.space import LARGEST_LISTED, IntArray, SearchSpace, Variable
from tailorbird.spaces.workload import Workload

_ROWS = 8  # enough to meet what is wrong with all of them


def check_space(space: object) -> SearchSpace:
    """Returns a user's space, after its members were checked on a few rows. Builds nothing.

    Raises:
        ContractError: naming the member that does not do what it must.
    """
    members = [name for name in vars(SearchSpace) if not name.startswith("_")]
    missing = [name for name in members if not hasattr(space, name)]
    if missing:
        raise ContractError(
            f"It must give a search space, but {type(space).__name__} has no {missing[0]!r}."
        )
    tried: Any = space
    _check_members(tried)
    _check_rows(tried, "landmarks", tried.landmarks)
    samples = [tried.sample(_ROWS, np.random.default_rng(0)) for _ in range(2)]
    _check_rows(tried, "sample(8, rng)", samples[0])
    law(len(samples[0]) == _ROWS, "sample(8, rng)", "8 rows", len(samples[0]))
    _law_of_equals(samples, "sample(8, rng)", "with generators that are equal")
    _check_counts(tried, samples[0])
    chunks = [_first_listed(tried) for _ in range(2)]
    _law_of_equals(chunks, "enumerate()", "when it is called twice")
    _check_rows(tried, "enumerate()", chunks[0])
    for name in ("describe", "kind"):
        text = getattr(tried, name)(tried.landmarks[0])
        law(isinstance(text, str) and text != "", f"{name}(row)", "a text", text)
    if isinstance(space, HasPieces):
        check_pieces(tried, np.unique(np.vstack([samples[0], tried.landmarks]), axis=0))
    checked: SearchSpace = tried
    return checked


def _check_members(space: Any) -> None:
    law(isinstance(space.name, str) and space.name != "", "name", "a text", space.name)
    variables = space.variables
    law(
        isinstance(variables, tuple)
        and variables != ()
        and all(isinstance(v, Variable) and v.choices for v in variables),
        "variables",
        "a tuple of `Variable`s, each with choices",
        variables,
    )
    names = [v.name for v in variables]
    law(len(set(names)) == len(names), "variables", "named apart", names)
    size = space.size
    law(isinstance(size, int | np.integer) and size > 0, "size", "a positive integer", size)
    most = math.prod(len(v.choices) for v in variables)
    law(size <= most, "size", f"at most {most:,}, the product of all choices", size)
    workloads = space.workloads
    law(
        isinstance(workloads, tuple) and all(isinstance(w, Workload) for w in workloads),
        "workloads",
        "a tuple of `Workload`s, () if they are not known",
        workloads,
    )
    law(len(set(workloads)) == len(workloads), "workloads", "distinct", "some of them twice")
    shape = space.input_shape
    law(
        isinstance(shape, tuple)
        and all(isinstance(n, int | np.integer) and n > 0 for n in shape)
        and shape,
        "input_shape",
        "a tuple of positive integers",
        shape,
    )


def _check_rows(space: Any, where: str, X: Any) -> None:
    d = len(space.variables)
    is_rows = isinstance(X, np.ndarray) and X.ndim == 2 and X.dtype == np.int64
    law(
        is_rows and X.shape[1] == d and len(X) > 0,
        where,
        f"rows of shape (n, {d}), int64, one at least",
        f"{X.dtype} of shape {X.shape}" if isinstance(X, np.ndarray) else X,
    )
    most = np.array([len(v.choices) for v in space.variables])
    wrong = ((X < 0) | (most <= X)).any(axis=1)
    law(not wrong.any(), where, "rows of indices into the choices", X[wrong][:1].tolist())
    repaired = space.repair(X.copy())
    law(
        isinstance(repaired, np.ndarray) and np.array_equal(repaired, X),
        where,
        "canonical rows, which `repair` leaves as they are",
        X[:1].tolist(),
    )


def _check_counts(space: Any, X: IntArray) -> None:
    counts: Any = space.count_workloads(X)
    shape = (len(X), len(space.workloads))
    law(
        issparse(counts) and getattr(counts, "shape", None) == shape,
        "count_workloads(X)",
        f"a sparse array of shape {shape}",
        counts,
    )
    values = counts.toarray()
    if not values.shape[1]:
        return
    law(
        np.issubdtype(values.dtype, np.integer)
        and (values >= 0).all()
        and values.any(axis=1).all(),
        "count_workloads(X)",
        "counts, integers from 0 on, of which each network has some",
        f"{values.dtype} from {values.min()} to {values.max()}",
    )


def _first_listed(space: Any) -> Any:
    """First chunk of all rows; the landmarks where a space says that it is too large to list."""
    try:
        chunk = next(islice(space.enumerate(_ROWS), 1), None)
    except ValueError as error:
        needed = f"all rows of a space of at most {LARGEST_LISTED:,} networks"
        refusal = f"for {space.size:,} networks ValueError: {error}"
        law(space.size > LARGEST_LISTED, "enumerate()", needed, refusal)
        return space.landmarks
    law(chunk is not None, "enumerate()", "a chunk of rows at least", None)
    return chunk


def _law_of_equals(twice: list[Any], where: str, when: str) -> None:
    law(np.array_equal(*twice), where, f"the same rows {when}", "others")
