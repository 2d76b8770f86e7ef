"""The zero-cost scores that a recipe names."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tailorbird.errors import ContractError
from tailorbird.pipeline.python_path import resolve, users_code
from tailorbird.predictors.accuracy.zero_cost import ZeroCost, zero_cost_scores
from tailorbird.registry.python_paths import is_path

if TYPE_CHECKING:
    from torch import Tensor, nn

_KEY = "[accuracy] zero_cost"


def zero_cost_scores_of(names: Sequence[str], home: Path) -> dict[str, ZeroCost]:
    """Functions that score networks, by their names in the recipe.

    Args:
        names: registered, or Python paths.
        home: folder of the recipe.

    Raises:
        RecipeError: if a path names nothing.
    """
    own = {name: _own(name, home) for name in names if is_path(name)}
    registered = zero_cost_scores([name for name in names if name not in own])
    return {name: (own | registered)[name] for name in names}


def _own(name: str, home: Path) -> ZeroCost:
    score = resolve(name, home, _KEY)

    def guarded(module: "nn.Module", images: "Tensor", labels: "Tensor") -> float:
        with users_code(f"{_KEY} = {name!r}"):
            value = score(module, images, labels)
            try:
                return float(value)
            except (TypeError, ValueError):
                raise ContractError(
                    f"A score must be one number, but got {type(value).__name__}."
                ) from None

    return guarded
