"""The table [space], or the tables [[space]] of a union."""

from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, ClassVar, Literal, Self

from pydantic import ConfigDict, TypeAdapter, model_validator
from pydantic_core import PydanticCustomError

from tailorbird.errors import shown
from tailorbird.recipe.section import PythonPath, Section

_ALIKE = 0.7
_KEYS = ("name", "module", "programs", "choose")
_OF_RULES = frozenset({"kernel", "stride", "stitches", "below_larger_anchor"})


class SpaceSection(Section):
    """Networks that there are: a named space, or what a Python path makes; or modules to time.

    Attributes:
        name: of a space that comes with the package; other keys are its settings.
        module: function of your own, `module:name`, that makes a space; other keys are its
            arguments.
        programs: function of your own, `module:name`, that gives modules to time, each for itself.
        choose: `klas` lets trained anchors choose where stitches are.
    """

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)
    name: str | None = None
    module: PythonPath | None = None
    programs: PythonPath | None = None
    choose: Literal["klas"] | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if self.path is None:  # else other keys are settings that only its function knows
            self._refuse_misspelt()
        if sum(key is not None for key in (self.name, self.module, self.programs)) != 1:
            raise PydanticCustomError(
                "space", "[space] must have either a name or a module, or programs to time"
            )
        if self.choose is not None:
            self._refuse_other_stitches()
        return self

    def _refuse_other_stitches(self) -> None:
        """Refuses what would say which stitches there are, where these are chosen."""
        if self.programs is not None:
            raise PydanticCustomError(
                "space", "[space] choose is for stitched networks, and programs have none: drop it"
            )
        idle = _OF_RULES & {*self.settings} if self.path is None else ()
        for key in sorted(idle):
            raise PydanticCustomError(
                "space",
                "[space] {key} says which stitches there are, which choose does as well: drop one",
                {"key": key},
            )

    def _refuse_misspelt(self) -> None:
        """Refuses settings that no named space has, but whose names are nearly those of keys."""
        for setting in self.settings:
            close = get_close_matches(setting, _KEYS, n=1, cutoff=_ALIKE)
            if close:
                raise PydanticCustomError(
                    "space",
                    "there is no key {key}; did you mean {close}?",
                    {"key": shown(f"[space] {setting}"), "close": shown(close[0])},
                )

    @property
    def tables(self) -> tuple[Self, ...]:
        """Tables of all spaces: this one."""
        return (self,)

    @property
    def path(self) -> str | None:
        """Python path of the user's function; None of a named space."""
        return self.module or self.programs

    @property
    def key(self) -> str:
        """The key that says which networks there are, with its value, for messages."""
        given = {"name": self.name, "module": self.module, "programs": self.programs}
        key, value = next((key, value) for key, value in given.items() if value is not None)
        return f"[space] {key} = {value!r}"

    @property
    def settings(self) -> dict[str, Any]:
        """What the space is made with; the space says which settings it has."""
        return dict(self.model_extra or {})


@dataclass(frozen=True, slots=True)
class UnionSection:
    """Several spaces, whose networks are searched together: a table `[[space]]` for each.

    Attributes:
        tables: of the spaces, two at least.
    """

    tables: tuple[SpaceSection, ...]

    key: ClassVar = "[[space]]"
    name: ClassVar[None] = None
    module: ClassVar[None] = None
    programs: ClassVar[None] = None
    choose: ClassVar[None] = None

    def __post_init__(self) -> None:
        for number, table in enumerate(self.tables, start=1):
            if table.choose is not None:
                raise PydanticCustomError(
                    "space",
                    "[[space]] number {number} has choose, but stitches are chosen for one space "
                    "alone: give it a recipe of its own, or drop choose",
                    {"number": number},
                )
            if table.programs is not None:
                raise PydanticCustomError(
                    "space",
                    "[[space]] number {number} has programs, which are timed each for itself and "
                    "in no union: give them a recipe of their own",
                    {"number": number},
                )
            elsewhere = {*table.settings} & {"data", "device"} if table.path is None else ()
            for key in sorted(elsewhere):
                raise PydanticCustomError(
                    "space",
                    "[[space]] number {number} has {key}, but spaces of a union have one data set "
                    "and one device: drop it, and say so in {where}",
                    {
                        "number": number,
                        "key": key,
                        "where": "[accuracy] data" if key == "data" else "[device]",
                    },
                )


def read_space(value: object) -> SpaceSection | UnionSection:
    """Reads a table, or a list of tables, one of which stands for itself.

    Raises:
        ValidationError: if one is wrong; the place in a list is part of where it is.
        PydanticCustomError: if they are no union.
    """
    if isinstance(value, UnionSection):
        return value
    if not isinstance(value, list):
        return SpaceSection.model_validate(value)
    if not value:
        raise PydanticCustomError("space", "[[space]] must have a table at least: name a space")
    tables = tuple(_TABLES.validate_python(value))
    return tables[0] if len(tables) == 1 else UnionSection(tables)


_TABLES = TypeAdapter(list[SpaceSection])
