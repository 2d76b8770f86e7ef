"""Reference of recipes: every key has a sentence, none else, and values that are allowed."""

import inspect
import tomllib
from collections.abc import Iterator

import pytest

from tailorbird.pipeline import recipe_reference as reference
from tailorbird.recipe.section import Section
from tailorbird.spaces.registry import SETTINGS, SPACES


def below(section: type[Section]) -> Iterator[type[Section]]:
    """All models that a table of recipes is made of."""
    for kind in section.__subclasses__():
        yield kind
        yield from below(kind)


def test_all_tables_are_in_it() -> None:
    assert {*below(Section)} == {*reference.TABLES.values()}


@pytest.fixture(scope="module")
def page() -> str:
    return reference.as_markdown()


@pytest.mark.parametrize("section", reference.TABLES.values(), ids=lambda s: s.__name__)
def test_every_key_has_a_sentence_and_none_else(section: type[Section], page: str) -> None:
    meanings = reference.meanings_of(section)
    assert [*meanings] == [*section.model_fields]
    for name, meaning in meanings.items():
        assert meaning.endswith("."), name
        assert len(meaning) > 10, name
    assert all(f"| `{name}` | {meaning}" in page for name, meaning in meanings.items())


def test_every_setting_of_a_space_has_a_sentence_and_none_else() -> None:
    known = {name for make in SPACES.values() for name in inspect.signature(make).parameters}
    assert known - {"batch"} == {*SETTINGS}


@pytest.mark.parametrize(
    "section",
    [s for title, s in reference.TABLES.items() if title.startswith("[")],
    ids=lambda s: s.__name__,
)
def test_defaults_are_what_a_table_without_the_key_has(section: type[Section]) -> None:
    written = {key.name: key.default for key in reference.keys_of(section) if key.default}
    if any(field.is_required() for field in section.model_fields.values()):
        return
    table = tomllib.loads("\n".join(f"{name} = {value}" for name, value in written.items()))
    fields = section.model_fields
    for name, value in table.items():
        default = fields[name].get_default(call_default_factory=True)
        assert (tuple(value) if isinstance(value, list) else value) == default
        assert type(value) is type(default) or isinstance(default, float | tuple)


def test_values_say_what_is_refused() -> None:
    values = {key.name: key.values for key in reference.keys_of(reference.TABLES["[search]"])}
    assert values["population"] == "whole number, at least 4, at most 100,000"
    assert values["algorithm"].startswith("`nsga2`, `guided`, ")
    assert values["min_accuracy"] == "number, at least 1e-09, below 1"
    values = {key.name: key.values for key in reference.keys_of(reference.TABLES["[accuracy]"])}
    assert values["module"] == "Python path, `module:name`"
    assert values["schedule"] == '`"one-cycle"`, `"cosine"`'
