"""Kinds of unions, by what all of their members can."""

from collections.abc import Sequence

import numpy as np

from tailorbird.spaces.footprint import workload_peak_bytes
from tailorbird.spaces.shared import HasPieces, Piece
from tailorbird.spaces.space import HasPeakMemory, IntArray, SearchSpace
from tailorbird.spaces.unions.laws import check_weights_differ, prefix_of
from tailorbird.spaces.unions.union import Union


def union_of(members: Sequence[SearchSpace]) -> Union:
    """The union of several spaces.

    Its networks can be trained where those of all members can; their peak memory is followed where
    that of any member's is.

    Args:
        members: two at least.

    Raises:
        ContractError: if they take other images, have one name, or only some name their workloads.
    """
    is_shared = all(isinstance(member, HasPieces) for member in members)
    has_peaks = any(isinstance(member, HasPeakMemory) for member in members) and all(
        member.workloads or isinstance(member, HasPeakMemory) for member in members
    )
    return _KINDS[is_shared, has_peaks](members)


class SharedUnion(Union):
    """Union of spaces whose networks share weights with others of the same member.

    Args:
        members: two at least.

    Raises:
        ContractError: as of any union, or if weights of two members would have one name.
    """

    def __init__(self, members: Sequence[SearchSpace]) -> None:
        super().__init__(members)
        self.prefixes = tuple(map(prefix_of, self.members))
        self._piece_of: tuple[dict[Piece, Piece], ...] = tuple(
            {
                piece: Piece(piece.kind, f"{prefix}{piece.weights}", piece.workload)
                for piece in member.pieces
            }
            for prefix, member in zip(self.prefixes, self.members, strict=True)
            if isinstance(member, HasPieces)
        )
        check_weights_differ(
            self.members, [{p.weights for p in own.values()} for own in self._piece_of]
        )

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """Pieces of all members; the names of their weights begin with the member's label."""
        return tuple(piece for pieces in self._piece_of for piece in pieces.values())

    def route(self, row: IntArray) -> tuple[Piece, ...]:
        """The pieces of one canonical row, in the order in which they run.

        Raises:
            ValueError: if it is not a canonical row of this space.
        """
        m, own = self.rows.own(row)
        member = self.members[m]
        assert isinstance(member, HasPieces)  # as all members are
        return tuple(self._piece_of[m][piece] for piece in member.route(own))


class _FollowedUnion(Union):
    """Union in which the peak memory of some member's networks is more than any workload's."""

    def peak_activation_bytes(self, X: IntArray) -> IntArray:
        """The most that live activations of canonical rows (n, d) hold at once, (n,).

        Raises:
            ValueError: if a row is not canonical.
        """
        peaks = np.zeros(len(X), dtype=np.int64)
        for m, at, rows in self.rows.canonical_parts(X):
            member = self.members[m]
            if isinstance(member, HasPeakMemory):
                peaks[at] = member.peak_activation_bytes(rows)
            else:
                used = member.count_workloads(rows).toarray() > 0
                peaks[at] = (used * workload_peak_bytes(member.workloads)).max(axis=1)
        return peaks


class _SharedFollowedUnion(SharedUnion, _FollowedUnion):
    """Union of both kinds."""


_KINDS = {
    (False, False): Union,
    (True, False): SharedUnion,
    (False, True): _FollowedUnion,
    (True, True): _SharedFollowedUnion,
}
