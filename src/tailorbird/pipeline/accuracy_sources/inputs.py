"""Inputs of training by the kind of space and by what a recipe gives."""

from collections.abc import Sequence
from pathlib import Path

from tailorbird.errors import RecipeError
from tailorbird.pipeline.accuracy_sources.given_inputs import GivenInputs
from tailorbird.pipeline.accuracy_sources.member_keys import keys_of
from tailorbird.pipeline.accuracy_sources.stitching_inputs import StitchingInputs
from tailorbird.pipeline.accuracy_sources.supernet_inputs import SupernetInputs
from tailorbird.pipeline.accuracy_sources.training_inputs import Lender, TrainingInputs
from tailorbird.pipeline.accuracy_sources.union_inputs import UnionInputs
from tailorbird.pipeline.space_tables import tables_of
from tailorbird.recipe import Recipe
from tailorbird.spaces import SearchSpace
from tailorbird.spaces.shared import HasPieces
from tailorbird.spaces.stitching import StitchSpace
from tailorbird.spaces.unions import members_of
from tailorbird.spaces.unions.kinds import SharedUnion
from tailorbird.spaces.unions.members import leaves_of


def inputs_of(
    recipe: Recipe,
    home: Path,
    space: SearchSpace,
    lender: Lender | None = None,
    others: Sequence[SearchSpace] = (),
) -> TrainingInputs | UnionInputs:
    """Inputs of the training of a space.

    Args:
        recipe: what was asked for.
        home: folder of the recipe.
        space: that it names.
        lender: whose data set and teacher they have, if not their own.
        others: beside which the space stands in a union.

    Raises:
        RecipeError: if the space is none that can be trained.
    """
    if not isinstance(space, HasPieces):
        untrained = next(one for one in members_of(space) if not isinstance(one, HasPieces))
        raise RecipeError(
            f"There is no training for {untrained.name}. Give accuracies of your own in "
            "[accuracy] function, batch_function or table; latencies alone can be had with "
            "`tailorbird profile RECIPE`."
        )
    if recipe.accuracy.trained is not None:
        return GivenInputs(recipe, home, space, lender)
    if isinstance(space, SharedUnion):
        return UnionInputs(space, _of_members(recipe, home, space, lender, others))
    keys = keys_of(recipe.accuracy, space, others)
    own = recipe.model_copy(update={"accuracy": keys})
    if isinstance(space, StitchSpace):
        return StitchingInputs(own, home, space, lender, recipe.accuracy)
    return SupernetInputs(own, home, space, lender, recipe.accuracy)


def _of_members(
    recipe: Recipe,
    home: Path,
    union: SharedUnion,
    lender: Lender | None,
    others: Sequence[SearchSpace],
) -> tuple[TrainingInputs | UnionInputs, ...]:
    """Inputs of each space of a union, as of a recipe that names it alone."""
    made = list[TrainingInputs | UnionInputs]()
    tables = tables_of(recipe.space, union)
    for m, (table, space) in enumerate(tables):
        beside = [
            leaf for n, (_, other) in enumerate(tables) if n != m for leaf in leaves_of(other)
        ]
        own = recipe.model_copy(update={"space": table})
        data = lender or (made[0] if made else None)
        made.append(inputs_of(own, home, space, data, [*others, *beside]))
    if lender is None:
        first = made[0]
        lending = first if isinstance(first, TrainingInputs) else first.lending
        lending.beside.extend(made[1:])
    return tuple(made)
