"""Where data lie that do not come with the package."""

import os
from pathlib import Path

from tailorbird.errors import RecipeError

_VARIABLE = "TAILORBIRD_DATA"
_SOURCE = Path(__file__).resolve().parents[1]
_BESIDE_THE_CHECKOUT = _SOURCE.parent.parent / "shared" / "data"


def data_folder() -> Path:
    """The folder that `TAILORBIRD_DATA` names, or shared/data beside the checkout.

    Raises:
        RecipeError: if there is no such folder.
    """
    folder = Path(os.environ.get(_VARIABLE, _BESIDE_THE_CHECKOUT))
    if not folder.is_dir():
        raise RecipeError(
            f"These data do not come with the package, and there is no folder {str(folder)!r}. "
            f"Name the folder that holds them in the environment variable {_VARIABLE}."
        )
    return folder
