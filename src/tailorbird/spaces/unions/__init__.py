"""Unions: spaces of all networks of several spaces."""

from tailorbird.spaces.unions.kinds import union_of
from tailorbird.spaces.unions.members import labels_of, members_of
from tailorbird.spaces.unions.union import Union

__all__ = ["Union", "labels_of", "members_of", "union_of"]
