"""Reads recipes, and says what is wrong with one."""

import tomllib
from pathlib import Path

from pydantic import BaseModel, ValidationError

from tailorbird.errors import RecipeError, nearest
from tailorbird.recipe.recipe import Recipe


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
    if first["type"] in ("space", "device", "latency", "accuracy", "search", "recipe"):
        return f"{first['msg']}."
    *sections, key = [str(part) for part in first["loc"] if isinstance(part, str)]
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
