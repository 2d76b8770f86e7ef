"""The data set that a recipe names: one of ours, the user's own, a folder, or one of timm's."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

from tailorbird.errors import ContractError, RecipeError
from tailorbird.pipeline.python_path import resolve, users_code
from tailorbird.recipe import Recipe
from tailorbird.registry.data_sets import DATA_SETS, DEFAULT, is_of_timm
from tailorbird.registry.python_paths import load
from tailorbird.spaces.preprocessing import Preprocessing
from tailorbird.spaces.trial import check_torch
from tailorbird.training import Dataset
from tailorbird.training.data.image_source import ImageSource
from tailorbird.training.data.image_source import load as load_images
from tailorbird.training.data.picture_transforms import SMALL, Augmentation
from tailorbird.training.trial import as_dataset

_GREY: Mapping[str, Any] = {"channels": "grey", "mean": (0.449,), "std": (0.226,)}


def named_data(recipe: Recipe) -> str:
    """Key of a recipe that names the data, with its value, for messages."""
    asked = recipe.accuracy
    key = "data" if asked.module is None else "module"
    return f"[accuracy] {key} = {getattr(asked, key) or DEFAULT!r}"


def dataset_of(
    recipe: Recipe,
    home: Path,
    input_shape: Sequence[int],
    published: Mapping[str, Preprocessing],
) -> Dataset:
    """The data set that a recipe names.

    Args:
        recipe: what was asked for.
        home: folder of the recipe.
        input_shape: of its networks, batch first; pictures become images of this size.
        published: by name of what they are weights of, preprocessing that these were trained with.

    Raises:
        RecipeError: if it cannot be had, or is none, or weights were trained with different
            preprocessing.
    """
    asked = recipe.accuracy
    if asked.module is not None:
        make = resolve(asked.module, home, "[accuracy] module")
        with users_code(named_data(recipe)):
            made = make()
            check_torch()
            return as_dataset(made)
    name = asked.data or DEFAULT
    if name in DATA_SETS:
        dataset: Dataset = load(DATA_SETS[name])()
        return dataset
    preprocessing = preprocessing_of(recipe, input_shape, published)
    try:
        return load_images(
            ImageSource(
                name if is_of_timm(name) else str(home / Path(name).expanduser()),
                preprocessing,
                Augmentation(**asked.augmentation.model_dump()),
                None if asked.data_root is None else home / Path(asked.data_root).expanduser(),
                asked.download,
                asked.split_seed,
                asked.skip_unreadable,
            )
        )
    except ContractError as error:
        raise RecipeError(f"{named_data(recipe)}: {error}") from error


def preprocessing_of(
    recipe: Recipe, input_shape: Sequence[int], published: Mapping[str, Preprocessing]
) -> Preprocessing:
    """How pictures become images: as the recipe says, else as those that weights learned from.

    Raises:
        RecipeError: if weights learned from images that were made in different ways, which the
            recipe does not decide; or networks take no images of one or three channels.
    """
    stated = recipe.accuracy.preprocessing.stated()
    n_channels, *size = input_shape[1:] if len(input_shape) == 4 else (0, 0, 0)
    if n_channels not in (1, 3):
        raise RecipeError(
            f"{named_data(recipe)}: pictures have one or three channels, but networks of the space "
            f"take shape {tuple(input_shape[1:])}. Give a data set of your own in module."
        )
    _check_alike(published, stated)
    chosen = dict[str, Any]()
    if published:
        chosen = asdict(next(iter(published.values())))
    else:
        chosen |= {"crop": 1.0} if max(size) <= SMALL else {}
        chosen |= _GREY if n_channels == 1 else {}
    try:
        return Preprocessing(**chosen | {"size": tuple(size)} | stated)
    except ContractError as error:
        raise RecipeError(f"[accuracy.preprocessing] {error}") from error


def _check_alike(published: Mapping[str, Preprocessing], stated: Mapping[str, Any]) -> None:
    """Refuses weights that learned from images made in different ways.

    Raises:
        RecipeError: naming what differs, unless the recipe states all of that.
    """
    for (name, first), (other, preprocessing) in pairwise(published.items()):
        differs = [key for key in first.differences(preprocessing) if key not in stated]
        if differs:
            raise RecipeError(
                f"Networks that share weights must see images made in one way, but what {name} and "
                f"{other} learned from differs in {' and '.join(differs)}: {first}; and "
                f"{preprocessing}. State {' and '.join(differs)} in [accuracy.preprocessing]."
            )
