"""Reads recipes, and refuses what is wrong with one in a sentence."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from tailorbird.errors import RecipeError, in_a_line, nearest, shown
from tailorbird.recipe.document import parse
from tailorbird.recipe.recipe import Recipe
from tailorbird.storage.foreign import bounded_file
from tailorbird.storage.foreign.text import decoded

_LARGEST_BYTES = 2**20
_LONGEST = 500  # characters of a sentence


def load(source: Path | Mapping[str, object]) -> tuple[Recipe, str]:
    """Reads a recipe; returns it with its text as the user wrote it, or as TOML has it.

    Args:
        source: path of a TOML file, or its tables.

    Raises:
        RecipeError: naming the first thing that is wrong, and what would be right.
    """
    if isinstance(source, Path):
        path = source
        text = decoded(bounded_file.read(path, _LARGEST_BYTES, what="A recipe"), path)
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    else:
        path, text = Path("<dict>"), _as_toml(source)
    try:
        recipe = Recipe.model_validate(parse(text, path))
    except ValidationError as error:
        raise RecipeError(f"Recipe {str(path)!r}: {_explain(error)}") from None
    if any("batch" in table.settings for table in recipe.space.tables):
        raise RecipeError(
            f"Recipe {str(path)!r}: there is no key '[space] batch'; it is [device] batch."
        )
    return recipe, text


def _as_toml(tables: Mapping[str, object]) -> str:
    """Writes tables as TOML, so that they are read as any recipe is.

    Raises:
        RecipeError: if TOML has no word for a value.
    """
    import tomli_w

    try:
        return tomli_w.dumps(tables)
    except (TypeError, AttributeError, ValueError, RecursionError) as error:
        raise RecipeError(
            "A recipe must consist of what TOML can hold, tables, lists, texts, numbers and "
            f"booleans, but it does not ({in_a_line(error)}). Leave out what is None."
        ) from None


def _explain(error: ValidationError) -> str:
    first = error.errors()[0]
    text, place = _sentence(first), first["loc"][:2]
    if len(place) == 2 and place[0] == "space" and isinstance(place[1], int):
        return text.replace("[space]", f"[[space]] number {place[1] + 1}")
    return text


def _sentence(first: ErrorDetails) -> str:
    if first["type"] in ("space", "device", "latency", "accuracy", "search", "recipe"):
        sentence = first["msg"]
        if len(sentence) > _LONGEST:
            return f"{sentence[:_LONGEST]}..."
        return sentence if sentence.endswith("?") else f"{sentence}."
    *sections, key = [str(part) for part in first["loc"] if isinstance(part, str)]
    where = shown(f"[{'.'.join(sections)}] {key}" if sections else key)
    got = shown(first["input"])
    match first["type"]:
        case "missing":
            wanted = "the table [space]" if key == "space" else f"the key {where}"
            return f"{wanted} is missing."
        case "extra_forbidden":
            known = _fields(sections)
            return f"there is no key {where}; {nearest(key, known)}"
        case "model_type" | "dict_type":
            return f"{where} must be a table, but got {got}."
        case "literal_error":
            return f"{where} must be {first['ctx']['expected']}, but got {got}."
    law = first["msg"].replace("valid tuple", "valid list")  # as TOML calls it
    return f"{where}: {law}, but got {got}."


def _fields(sections: list[str]) -> list[str]:
    model: type[BaseModel] = Recipe
    for section in sections:
        annotation = model.model_fields[section].annotation
        assert isinstance(annotation, type)
        assert issubclass(annotation, BaseModel)
        model = annotation
    return list(model.model_fields)
