"""TOML documents of recipes, within limits on depth, integers and texts."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tailorbird.errors import RecipeError, plain, shown

_LONGEST = 1_000  # characters of a text; the longest are paths and addresses of stores
_DEEPEST = 32  # tables and lists within each other; no key of ours has more than three
_QUOTED = re.compile(r"\"[^\"\n]*+\"|'[^'\n]*+'")
_DOTTED = re.compile(rf"(?<![\w.-])(?:[\w-]++[ \t]*+\.[ \t]*+){{{_DEEPEST}}}")
_INTEGERS = range(-(2**63), 2**63)
_OUR_KEYS = ((), ("name",), ("module",), ("programs",))
"""Keys of [space] that are ours; settings of a user's own space are that user's affair."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def parse(text: str, path: Path) -> dict[str, Any]:
    """Parses a recipe into tables and values by key.

    Args:
        text: of the recipe.
        path: of its file, for messages.

    Raises:
        RecipeError: if it is no TOML, nests deeply, or holds an integer of more than 64 bits or a
            text that is long or has control characters.
    """
    too_deep = (
        f"Recipe {str(path)!r} must not nest tables or lists more than {_DEEPEST} deep. Look for a "
        "bracket that is never closed."
    )
    too_long = f"Recipe {str(path)!r}: integers must have at most 64 bits, as TOML says"
    if _DOTTED.search(_QUOTED.sub("q", text)):  # the parser takes the square of their number
        raise RecipeError(too_deep)
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"Recipe {str(path)!r} is not valid TOML: {plain(str(error))}.") from None
    except RecursionError:
        raise RecipeError(too_deep) from None
    except ValueError:  # of thousands of digits, which Python does not read
        raise RecipeError(f"{too_long}, but one has thousands of digits.") from None
    for where, value in _values(document):
        key = shown(".".join(where))
        if len(where) > _DEEPEST:
            raise RecipeError(too_deep)
        if isinstance(value, int) and value not in _INTEGERS:
            raise RecipeError(f"{too_long}, but {key} is {shown(value)}.")
        if not isinstance(value, str) or (where[0] == "space" and _is_setting(where)):
            continue
        if len(value) > _LONGEST:
            raise RecipeError(
                f"Recipe {str(path)!r}: texts must have at most {_LONGEST:,} characters, but {key} "
                f"has {len(value):,}. Shorten it."
            )
        if _CONTROL.search(value):
            raise RecipeError(
                f"Recipe {str(path)!r}: texts must not hold control characters, but {key} is "
                f"{shown(value)}."
            )
    return document


def _is_setting(where: tuple[str, ...]) -> bool:
    """True for what leads to a setting of a space, in [space] or in one of the tables [[space]]."""
    own = where[2:] if where[1:2] and where[1].isdigit() else where[1:]
    return own[:1] not in _OUR_KEYS


def _values(document: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], object]]:
    """Each value with the keys and, within lists, the places that lead to it."""
    ahead: list[tuple[tuple[str, ...], object]] = [((key,), document[key]) for key in document]
    while ahead:
        where, value = ahead.pop()
        yield where, value
        if isinstance(value, dict):
            ahead += [((*where, key), below) for key, below in value.items()]
        elif isinstance(value, list):
            ahead += [((*where, str(i)), below) for i, below in enumerate(value)]
