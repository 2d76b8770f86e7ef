"""Folder of data that do not come with the package."""

import os
from pathlib import Path

from tailorbird.errors import RecipeError

_VARIABLE = "TAILORBIRD_DATA"
_SOURCE = Path(__file__).resolve().parents[2]
_BESIDE_THE_CHECKOUT = _SOURCE.parent.parent / "shared" / "data"


def data_folder() -> Path:
    """Returns the folder that `TAILORBIRD_DATA` names, shared/data beside the checkout, or a cache.

    It need not be there: whoever misses a file in it says how to get that one.

    Raises:
        RecipeError: if it is in the home of a user who is not known.
    """
    named = os.environ.get(_VARIABLE)
    if named:
        try:
            return Path(named).expanduser()
        except RuntimeError:
            raise RecipeError(
                f"The environment variable {_VARIABLE} must name a folder, but {named!r} is in the "
                "home of a user who is not known here. Name one without a tilde."
            ) from None
    if _BESIDE_THE_CHECKOUT.is_dir():
        return _BESIDE_THE_CHECKOUT
    return cache_folder()


def cache_folder() -> Path:
    """Folder of the user's for what can be had again."""
    import pooch

    return Path(pooch.os_cache("tailorbird"))
