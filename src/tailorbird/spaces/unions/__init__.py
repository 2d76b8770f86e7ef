"""Unions: spaces of all networks of several spaces."""

from tailorbird.spaces.unions.kinds import union_of
from tailorbird.spaces.unions.laws import label_of
from tailorbird.spaces.unions.members import labels_of, member_row, members_of
from tailorbird.spaces.unions.union import Union

__all__ = ["Union", "label_of", "labels_of", "member_row", "members_of", "union_of"]
