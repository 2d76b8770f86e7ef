"""What a user asks for, from a TOML file."""

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError

from tailorbird.errors import RecipeError, nearest

Count = Annotated[int, Field(ge=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class SpaceSection(_Section):
    """Which networks there are. Other keys than the name are settings of that space."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)
    name: str

    @property
    def settings(self) -> dict[str, Any]:
        """What the space is made with; the space says which settings it has."""
        return dict(self.model_extra or {})


class DeviceSection(_Section):
    """What latency is measured on."""

    name: str = "local"
    threads: Literal[1] = 1  # the static schedule has no parallel loops
    batch: Annotated[int, Field(ge=1, le=4096)] = 1


class LatencySection(_Section):
    """How latency is measured."""

    runtime: Literal["tvm", "onnxruntime"] = "tvm"
    schedule: Annotated[Literal["static", "default"] | None, Field(validate_default=True)] = (
        None  # that of the runtime
    )
    rounds: Annotated[int, Field(ge=2)] = 5
    store: Annotated[str, Field(min_length=1)] | None = None

    @field_validator("schedule")
    @classmethod
    def _fits_the_runtime(cls, schedule: str | None, info: ValidationInfo) -> str | None:
        runtime = info.data.get("runtime")
        if runtime is None:  # wrong itself, and said to be
            return schedule
        own = _SCHEDULES[runtime]
        if schedule not in (None, own):
            raise PydanticCustomError("schedule", f"{runtime} has the schedule {own!r} only")
        return own


_SCHEDULES = {"tvm": "static", "onnxruntime": "default"}


class AccuracySection(_Section):
    """How accuracy comes about."""

    data: Literal["digits"] = "digits"
    train_epochs: Count = 30
    stitch_epochs: Count = 150
    evaluations: Annotated[int, Field(ge=10)] = 150


class SearchSection(_Section):
    """How the front is searched."""

    algorithm: Literal["nsga2"] = "nsga2"
    population: Annotated[int, Field(ge=4)] = 100
    generations: Count = 100
    max_latency_ms: Annotated[float, Field(gt=0)] | None = None


class ReportSection(_Section):
    """What is checked on the device."""

    networks: Count = 16
    random_networks: Annotated[int, Field(ge=2)] = 20


class Recipe(_Section):
    """All of it."""

    name: Annotated[str, Field(max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    space: SpaceSection
    device: DeviceSection = DeviceSection()
    latency: LatencySection = LatencySection()
    accuracy: AccuracySection = AccuracySection()
    search: SearchSection = SearchSection()
    report: ReportSection = ReportSection()


def load(path: Path) -> tuple[Recipe, str]:
    """A recipe, and its text as the user wrote it.

    Raises:
        RecipeError: naming the first thing that is wrong, and what would be right.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise RecipeError(f"Recipe {str(path)!r} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise RecipeError(f"Recipe {str(path)!r} is not text in UTF-8.") from None
    try:
        recipe = Recipe.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"Recipe {str(path)!r} is not valid TOML: {error}.") from None
    except ValidationError as error:
        raise RecipeError(f"Recipe {str(path)!r}: {_explain(error)}") from None
    if "batch" in recipe.space.settings:
        raise RecipeError(
            f"Recipe {str(path)!r}: there is no key '[space] batch'; it is [device] batch."
        )
    return recipe, text


def _explain(error: ValidationError) -> str:
    first = error.errors()[0]
    *sections, key = [str(part) for part in first["loc"]]
    where = f"[{'.'.join(sections)}] {key}" if sections else key
    match first["type"]:
        case "missing":
            wanted = "the table [space]" if where == "space" else f"the key {where!r}"
            return f"{wanted} is missing."
        case "extra_forbidden":
            known = _fields(sections)
            return f"there is no key {where!r}; {nearest(key, known)}"
        case "model_type" | "dict_type":
            return f"{where!r} must be a table, but got {first['input']!r}."
        case "literal_error":
            return f"{where!r} must be {first['ctx']['expected']}, but got {first['input']!r}."
    return f"{where!r}: {first['msg']}, but got {first['input']!r}."


def _fields(sections: list[str]) -> list[str]:
    model: type[BaseModel] = Recipe
    for section in sections:
        annotation = model.model_fields[section].annotation
        assert isinstance(annotation, type)
        assert issubclass(annotation, BaseModel)
        model = annotation
    return list(model.model_fields)
