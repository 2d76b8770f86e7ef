"""Tables of a recipe beside the spaces that they name."""

from tailorbird.recipe.space import SpaceSection, UnionSection
from tailorbird.spaces import SearchSpace
from tailorbird.spaces.unions import members_of


def tables_of(
    section: SpaceSection | UnionSection, space: SearchSpace
) -> list[tuple[SpaceSection, SearchSpace]]:
    """Each space with its table; a function of a user's own may have made several by one table."""
    if isinstance(section, UnionSection):
        return [*zip(section.tables, members_of(space), strict=True)]
    return [(section, member) for member in members_of(space)]
