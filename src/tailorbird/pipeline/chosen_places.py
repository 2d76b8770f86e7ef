"""Places of the stitches of a recipe's space, chosen by what its trained anchors answer."""

import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

from tailorbird.errors import MissingStepError, RecipeError
from tailorbird.pipeline.accuracy_sources.inputs import inputs_of
from tailorbird.pipeline.accuracy_sources.stitching_inputs import StitchingInputs
from tailorbird.pipeline.run_folder import LOG
from tailorbird.recipe import Recipe
from tailorbird.spaces import SearchSpace
from tailorbird.spaces.stitching import StitchSpace
from tailorbird.spaces.stitching.stitch import Reach
from tailorbird.training.stitching.klas import choose_places, load_places, some_places

if TYPE_CHECKING:
    from tailorbird.pipeline.run import Run


def chosen_space(
    recipe: Recipe,
    home: Path,
    space: SearchSpace,
    folder: Path,
    opened: "Callable[[SearchSpace], Run] | None",
) -> StitchSpace:
    """The space of a recipe with the stitches that were chosen, or are chosen now.

    Args:
        recipe: that names the space.
        home: its folder.
        space: with the stitches that it has otherwise.
        folder: of the run.
        opened: opens the run with other stitches, all of which is checked before anything is
            trained; None if nothing is to be trained.

    Raises:
        RecipeError: if it trains no anchors, looks at no images, or has no stitches.
        MissingStepError: if places are not chosen yet, and nothing is to be trained.
        TrainingError: if training diverges.
    """
    inputs, reach = _inputs(recipe, home, space), _reach(recipe)
    stitched, settings, dataset = inputs.space, inputs.settings(), inputs.dataset()
    weights = folder / "weights"
    found = load_places(stitched, dataset, settings, weights, reach)
    if found is not None:
        return stitched.with_stitches(found)
    if opened is None:
        raise MissingStepError(
            f"Places of stitches are not chosen yet in {str(weights)!r}. `tailorbird train RECIPE` "
            "chooses them once anchors are trained."
        )
    if recipe.accuracy.earlier is not None:
        raise RecipeError(
            "[accuracy] earlier names networks by their stitches, which are not chosen yet. Drop "
            "it until `tailorbird train RECIPE` has chosen them."
        )
    run = opened(stitched.with_stitches(some_places(stitched, reach)))
    is_first = inputs.compute.ranks.is_first
    with run.held() if is_first else run.beside(), redirect_stdout(sys.stderr):
        run.check()
        with run.progress.step("choose stitches"):
            found = choose_places(stitched, dataset, settings, weights, run.progress, reach)
        LOG.info("%d places of stitches chosen", len(found.chosen))
    return stitched.with_stitches(found)


def like_chosen(recipe: Recipe, home: Path, space: SearchSpace) -> StitchSpace:
    """The space of a recipe with as many stitches as will be chosen, in any places.

    Raises:
        RecipeError: if it trains no anchors, looks at no images, or has no stitches.
    """
    stitched = _inputs(recipe, home, space).space
    return stitched.with_stitches(some_places(stitched, _reach(recipe)))


def _reach(recipe: Recipe) -> Reach:
    """Anchors that stitches join; the space refused what is neither."""
    pairs = [table.settings.get("pairs") for table in recipe.space.tables]
    return "all" if "all" in pairs else "neighbours"


def _inputs(recipe: Recipe, home: Path, space: SearchSpace) -> StitchingInputs:
    """Inputs of the training of a recipe's anchors.

    Raises:
        RecipeError: if there is none, or nothing to choose.
    """
    inputs = inputs_of(recipe, home, space) if recipe.accuracy.is_trained_here else None
    if not isinstance(inputs, StitchingInputs):
        raise RecipeError(
            f'[space] choose = "klas" asks what trained anchors answer, but of {space.name} '
            "none are trained here. Drop it, or name data to train on in [accuracy]."
        )
    if type(space) is not StitchSpace:
        raise RecipeError(
            f'[space] choose = "klas" gives a StitchSpace other stitches, but {space.name} is a '
            f"{type(space).__name__}, of which more would be lost. Drop it."
        )
    if not space.max_stitches:
        raise RecipeError(
            '[space] choose = "klas" says where stitches are, but max_stitches is 0. Drop one.'
        )
    if not inputs.settings().stitch_images:
        raise RecipeError(
            '[space] choose = "klas" looks at images, but [accuracy] stitch_images is 0. Raise it.'
        )
    return inputs
