"""Check of the pieces of a user's search space, if it says of which its networks are made."""

from functools import partial
from typing import Any

import numpy as np

from tailorbird.spaces.law import law
from tailorbird.spaces.shared import KINDS, Piece
from tailorbird.spaces.space import IntArray

_law = partial(law, contract="SharedSpace")


def check_pieces(space: Any, X: IntArray) -> None:
    """Refuses pieces and routes that do not fit each other, or the workloads. Builds nothing.

    Args:
        space: a search space with `pieces` and `route`, whose other members were checked.
        X: canonical rows (n, d) whose routes are looked at.

    Raises:
        ContractError: naming the member that does not do what it must.
    """
    pieces = [*space.pieces]
    _check_each(pieces)
    place = {workload: column for column, workload in enumerate(space.workloads)}
    absent = [piece.workload.key for piece in pieces if piece.workload not in place]
    _law(not absent, "workloads", "those of all `pieces`", f"all but {absent[:1]}")
    known, counts = {*pieces}, space.count_workloads(X).toarray()
    rows: dict[tuple[Piece, ...], list[int]] = {}
    for row, wanted in zip(X, counts, strict=True):
        route = space.route(row)
        what = f"route({row.tolist()})"
        is_route = isinstance(route, tuple) and all(isinstance(one, Piece) for one in route)
        _law(is_route, what, "a tuple of `Piece`s", route)
        others = [piece for piece in route if piece not in known]
        _law(not others, what, "made of `pieces`", f"also {others[:1]}")
        _law(space.route(row) == route, what, "the same whenever it is asked for", "others")
        n = np.bincount([place[piece.workload] for piece in route], minlength=len(place))
        differing = np.flatnonzero(n != wanted)[:1]
        _law(
            not len(differing),
            what,
            "pieces with the workloads that `count_workloads` counts",
            "".join(
                f"{space.workloads[column].key} {n[column]} times, and counted {wanted[column]}"
                for column in differing
            ),
        )
        other = rows.setdefault(route, row.tolist())
        _law(other == row.tolist(), what, "that of no other row", f"that of {other}")


def _check_each(pieces: list[Any]) -> None:
    wrong = [one for one in pieces if not isinstance(one, Piece)]
    _law(pieces and not wrong, "pieces", "`Piece`s, one at least", wrong[:1])
    _law(len({*pieces}) == len(pieces), "pieces", "distinct", "some of them twice")
    alike = "told apart by the params and inputs of their workloads where weights have one name"
    _law(len({piece.form for piece in pieces}) == len(pieces), "pieces", alike, "others")
    kinds: dict[str, str] = {}
    for piece in pieces:
        name, kind = piece.weights, piece.kind
        _law(kind in KINDS, "pieces", f"each of one of the kinds {', '.join(KINDS)}", f"{kind!r}")
        is_name = isinstance(name, str) and name != "" and "." not in name
        _law(is_name, "pieces", "with names of weights, which have no dots", f"{name!r}")
        known = kinds.setdefault(name, kind)
        _law(known == kind, "pieces", "of one kind where weights have one name", f"{name!r} twice")
