"""Tables of names: what they name is there, and recipes take their names from there."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from tailorbird import recipe
from tailorbird.errors import RecipeError
from tailorbird.latency_tables.tables.configuration import IMPORTED
from tailorbird.registry.accuracy_predictors import ACCURACY_PREDICTORS
from tailorbird.registry.algorithms import ALGORITHMS
from tailorbird.registry.data_sets import DATA_SETS
from tailorbird.registry.latency_predictors import LATENCY_PREDICTORS
from tailorbird.registry.python_paths import is_path, load
from tailorbird.registry.route_draws import ROUTE_DRAWS
from tailorbird.registry.runtimes import COMMAND, RUNTIMES
from tailorbird.registry.training_rules import TRAINING_RULES
from tailorbird.registry.zero_cost_scores import ZERO_COST_SCORES

PATHS = {
    **{name: entry.path for name, entry in ACCURACY_PREDICTORS.items()},
    **{name: entry.path for name, entry in LATENCY_PREDICTORS.items()},
    **{name: entry.path for name, entry in ALGORITHMS.items()},
    **{name: entry.path for name, entry in RUNTIMES.items()},
    **{name: entry.path for name, entry in TRAINING_RULES.items()},
    **{name: entry.path for name, entry in ROUTE_DRAWS.items()},
    **ZERO_COST_SCORES,
    **DATA_SETS,
}
RECIPE = 'name = "a"\nspace = {{ name = "digits-resnet" }}\n{table} = {{ {key} = {value} }}\n'

KEYS: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("accuracy", "data"): tuple(DATA_SETS),
    ("accuracy", "predictor"): tuple(ACCURACY_PREDICTORS),
    ("accuracy", "routes"): tuple(ROUTE_DRAWS),
    ("accuracy", "rule"): tuple(TRAINING_RULES),
    ("accuracy", "zero_cost"): tuple(ZERO_COST_SCORES),
    ("latency", "predictor"): tuple(LATENCY_PREDICTORS),
    ("latency", "runtime"): (*RUNTIMES, IMPORTED),
    ("search", "algorithm"): tuple(ALGORITHMS),
}
_NAMES_ONLY = ("data", "routes")
"""Keys that take no Python path."""


@pytest.mark.parametrize("name", PATHS)
def test_what_a_table_names_is_there(name: str) -> None:
    assert is_path(PATHS[name])
    assert not is_path(name)
    assert callable(load(PATHS[name]))


@pytest.mark.parametrize(("table", "key"), KEYS)
def test_a_refusal_lists_the_names_of_its_table(table: str, key: str, tmp_path: Path) -> None:
    value = '["nothing"]' if key == "zero_cost" else '"nothing"'
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE.format(table=table, key=key, value=value))
    with pytest.raises(RecipeError) as refused:
        recipe.load(path)
    sentence = str(refused.value)
    listed = sentence[sentence.index("must be") : sentence.index(", but got")]
    names = tuple(re.findall("'([^']+)'", listed))
    own = () if key in _NAMES_ONLY else ("package.module:name",)
    assert names == (*KEYS[table, key], *own)


@pytest.mark.parametrize(
    ("table", "key", "name"),
    [(*where, name) for where, names in KEYS.items() for name in names],
)
def test_every_name_of_a_table_is_taken(table: str, key: str, name: str, tmp_path: Path) -> None:
    value = f'["{name}"]' if key == "zero_cost" else f'"{name}"'
    more = {"best": 'accuracy = { predictor = "additive" }\n'}
    recipe_text = more.get(name, "") + RECIPE.format(table=table, key=key, value=value)
    if name == COMMAND:
        recipe_text = recipe_text.replace('"command" }', '"command", command = "run {onnx}" }')
    path = tmp_path / "recipe.toml"
    path.write_text(recipe_text)
    read = getattr(recipe.load(path)[0], table)
    assert getattr(read, key) == ((name,) if key == "zero_cost" else name)


@pytest.mark.parametrize(("table", "key"), [where for where in KEYS if where[1] not in _NAMES_ONLY])
def test_a_python_path_is_taken_where_a_name_is(table: str, key: str, tmp_path: Path) -> None:
    value = '["mine.own:thing"]' if key == "zero_cost" else '"mine.own:thing"'
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE.format(table=table, key=key, value=value))
    read = getattr(recipe.load(path)[0], table)
    assert getattr(read, key) in ("mine.own:thing", ("mine.own:thing",))
