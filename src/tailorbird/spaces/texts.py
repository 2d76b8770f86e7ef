"""Networks by the texts that describe them."""

from collections.abc import Collection

from tailorbird.errors import EncodingError
from tailorbird.spaces.space import IntArray, ReadsTexts, SearchSpace

MOST_DESCRIBED = 1_000_000
"""Networks that are described, one after the other, to find texts among them."""


def rows_of(texts: Collection[str], space: SearchSpace) -> dict[str, IntArray]:
    """Rows (d,) of a space by text, within the choices; texts of no network are left out.

    Raises:
        EncodingError: if the space neither reads texts, nor is small enough to be searched.
    """
    if isinstance(space, ReadsTexts):
        read = {text: space.row_of(text) for text in texts}
        return {text: row for text, row in read.items() if row is not None}
    if space.size > MOST_DESCRIBED:
        raise EncodingError(
            f"Networks are found by their texts in spaces of up to {MOST_DESCRIBED:,}, but "
            f"{space.name} has {space.size:,}. Give a column for each variable instead."
        )
    wanted = {*texts}
    found: dict[str, IntArray] = {}
    for X in space.enumerate():
        for row in X:
            text = space.describe(row)
            if text in wanted:
                found[text] = row
        if len(found) == len(wanted):
            break
    return found
