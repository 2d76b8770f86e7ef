"""Rows of an imported table that are of no workload of a space."""

from collections.abc import Sequence
from difflib import get_close_matches

from tailorbird.errors import RecipeError, shown
from tailorbird.latency_tables.formats.imported import Stated
from tailorbird.spaces import CALL, SearchSpace


def remark(stated: Sequence[Stated], place: str, space: SearchSpace) -> str | None:
    """Sentence on the rows that are of no workload of a space; None if there are none.

    A published table may hold more than a space needs, so such rows are no fault by themselves.

    Args:
        stated: rows of a file.
        place: what their numbers count, such as `line`.
        space: that they are imported for.

    Raises:
        RecipeError: if none is of any workload.
    """
    needed = {workload.key for workload in space.workloads}
    others = [one for one in stated if one.key not in needed and one.key != CALL.key]
    if not others:
        return None
    first = others[0]
    nearest = get_close_matches(first.key, sorted(needed), n=1, cutoff=0.0)[0]
    example = f"first: {shown(first.key)} in {place} {first.line}; the nearest is {nearest!r}"
    if not any(one.key in needed for one in stated):
        raise RecipeError(
            f"None of {len(stated):,} rows is of a workload of {space.name} ({example}). "
            "`tailorbird table keys RECIPE` lists the keys that are needed."
        )
    n_of = f"{len(others):,} of {len(stated):,} rows"
    return f"{n_of} are of no workload of {space.name} ({example})."
