"""Recipes with wrong keys, values, structure and bytes."""

import copy
import json
import os
import random
import shutil
import tomllib
import typing
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from safetensors.torch import save_file

from fuzz import published, recipe_laws, special, toml_text, values
from fuzz.case import Case, Ran
from fuzz.damage import damaged
from fuzz.images import images
from fuzz.stores import filled
from tailorbird.latency_tables.tables.configuration import IMPORTED
from tailorbird.registry.accuracy_predictors import ACCURACY_PREDICTORS
from tailorbird.registry.algorithms import ALGORITHMS
from tailorbird.registry.data_sets import DATA_SETS
from tailorbird.registry.latency_predictors import LATENCY_PREDICTORS
from tailorbird.registry.route_draws import ROUTE_DRAWS
from tailorbird.registry.runtimes import RUNTIMES
from tailorbird.registry.training_rules import TRAINING_RULES
from tailorbird.registry.zero_cost_scores import ZERO_COST_SCORES

TINY = f"""
from torch import nn
{images(1, 8)}

def score(logits, labels):
    return float((logits.argmax(1) == labels).mean())


def teacher():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))


def accuracy(architecture):
    return 0.9 - 0.01 * len(architecture.text)


nothing = 3
"""
_SPACE = {"name": published.SPACE, "kernel": 2, "stride": 1, "max_stitches": 1}
_REPORT = {"networks": 4, "random_networks": 4}
_SHIPPED: dict[str, Any] = {
    "name": "shipped",
    "seed": 0,
    "space": _SPACE,
    "device": {"name": "epyc-avx512", "threads": 1, "batch": 1},
    "latency": {"runtime": "tvm", "schedule": "static", "rounds": 2},
    "accuracy": {"published": "snnet", "predictor": "additive"},
    "search": {
        "algorithm": "exact",
        "objectives": ["accuracy", "latency_ms"],
        "max_latency_ms": 100.0,
        "max_mega_params": 200,
        "min_accuracy": 0.1,
    },
    "report": _REPORT,
}
_EVOLVED = {
    **_SHIPPED,
    "name": "evolved",
    "accuracy": {"published": "snnet", "predictor": "ridge"},
    "search": {"algorithm": "nsga2", "population": 8, "generations": 3, "max_peak_mib": 500.0},
}
_IMPORTED = {
    **_SHIPPED,
    "name": "imported",
    "device": {"name": "a board", "threads": 1, "batch": 1},
    "latency": {"runtime": "imported", "store": "store.sqlite", "estimate_missing": False},
}
_TRAINED = {
    "name": "trained",
    "seed": 1,
    "space": {
        "name": "digits-resnet",
        "kernel": 3,
        "stride": 1,
        "max_stitches": 1,
        "below_larger_anchor": True,
    },
    "device": {"name": "epyc-avx512", "batch": 16},
    "accuracy": {
        "module": "tiny:load",
        "evaluator": "tiny:score",
        "train_epochs": 1,
        "stitch_epochs": 1,
        "batch": 10,
        "routes": "stitches",
        "distillation": "soft",
        "stitch_images": 5,
        "evaluations": 10,
        "predictor": "ridge",
        "learning_rates": {"embedding": 0.01, "block": 0.01, "stitch": 0.01, "head": 0.01},
    },
    "search": {"algorithm": "nsga2", "population": 8, "generations": 2},
    "report": _REPORT,
}
_ELASTIC = {
    **_TRAINED,
    "name": "elastic",
    "space": {"name": "digits-elastic"},
    "device": {"name": "local", "batch": 16},
    "accuracy": {
        "module": "tiny:load",
        "evaluator": "tiny:score",
        "supernet_epochs": 1,
        "rule": "sandwich",
        "routes": "log-macs",
        "distillation": "hard",
        "batch": 10,
        "evaluations": 10,
        "predictor": "ridge",
        "learning_rates": {"embedding": 0.01, "block": 0.01, "head": 0.01},
    },
}
_GIVEN = {
    **_ELASTIC,
    "name": "given",
    "accuracy": {
        "module": "tiny:load",
        "trained": "shared.safetensors",
        "evaluations": 10,
        "predictor": "ridge",
    },
}
_STARTED = {
    **_ELASTIC,
    "name": "started",
    "accuracy": {
        "module": "tiny:load",
        "supernet_epochs": 1,
        "largest": "largest.safetensors",
        "importance": "taylor",
        "batch": 10,
        "evaluations": 10,
        "predictor": "ridge",
    },
}
_UNION: dict[str, Any] = {
    **_TRAINED,
    "name": "union",
    "space": [_TRAINED["space"], _ELASTIC["space"]],
    "device": {"name": "local", "batch": 16},
    "accuracy": {
        "module": "tiny:load",
        "train_epochs": 1,
        "stitch_epochs": 1,
        "supernet_epochs": 1,
        "batch": 10,
        "evaluations": 10,
        "predictor": "ridge",
    },
}
_CALLED = {
    **_TRAINED,
    "name": "called",
    "device": {"name": "epyc-avx512", "threads": 1, "batch": 16},
    "latency": {"runtime": "tvm", "schedule": "static", "rounds": 2},
    "accuracy": {
        "function": "tiny:accuracy",
        "n_images": 100,
        "evaluations": 10,
        "predictor": "ridge",
    },
}
_ELSEWHERE = {
    "name": "elsewhere",
    "space": {"name": "digits-resnet"},
    "device": {"name": "epyc-avx512", "threads": 1, "batch": 16},
    "latency": {"runtime": "onnxruntime", "rounds": 2},
    "accuracy": {"data": "digits", "train_epochs": 1, "stitch_epochs": 1, "evaluations": 10},
    "search": {"algorithm": "nsga2", "population": 8, "generations": 2},
    "report": _REPORT,
}
_MEASURED: dict[str, Any] = {
    **_ELSEWHERE,
    "name": "measured",
    "device": {"name": "local", "threads": 1, "batch": 16},
    "latency": {"runtime": "torch", "schedule": "eager", "rounds": 2},
}
_COMMANDED: dict[str, Any] = {
    **_MEASURED,
    "name": "commanded",
    "device": {"name": "a phone", "threads": 1, "batch": 16},
    "latency": {
        "runtime": "command",
        "command": "true {onnx} {inputs} {outputs}",
        "command_timeout_seconds": 1.0,
        "rounds": 2,
    },
}
_STORES = ("nothing.sqlite", ".", "pipe", "text.sqlite", "a" * 300, "no/such/folder/x.sqlite",
           "/dev/full", "/dev/null", "sqlite://", "postgresql://me@127.0.0.1:1/x", "mysql://x/y",
           "http://127.0.0.1:1/", "://", "sqlite:///store.sqlite?mode=ro", "\x00")  # fmt: skip
_NAMES = (*_STORES, "tiny:load", "tiny:score", "tiny:teacher", "tiny:accuracy", "tiny:nothing",
          "no:such", "epyc-avx512", "epyc", "local", "a board", "x.parquet", "text.csv",
          "shared.safetensors", "largest.safetensors",
          "TPESampler", "GridSampler", "snnet", "top1", "127.0.0.1", "127.0.0.1:99999", "x86-64-v3",
          "riscv64-linux-gnu/nothing", "cuda", "nvptx64/sm_80", "true {onnx}", "{onnx}",
          "no {onnx}", "true {outputs} {onnx}", "true {onnx} {}", "true '{onnx}",
          "true {onnx")  # fmt: skip
_SIZES = (-1, 0, 1, 2, 3, 10**7, 2**31, 2**63, 10**30)
"""Searches of spaces of the small ones take less than a second, those of the others for ever."""
_LONG = ("population", "generations")
_MOST = 10
_HUGE = "@5,000 digits@"


@dataclass(frozen=True, slots=True)
class _Kind:
    """A right recipe, and the command that it is for."""

    recipe: dict[str, Any]
    command: Sequence[str]


class Recipes:
    """Recipes that search in tables of others, that train on twenty images, and that do neither."""

    def __init__(self, folder: Path) -> None:
        self._environment = published.prepare(folder / "data")
        self._kinds = (
            _Kind(_SHIPPED, ("search", "r.toml", "--json")),
            _Kind(_EVOLVED, ("search", "r.toml", "--json")),
            _Kind(_IMPORTED, ("search", "r.toml")),
            _Kind(_IMPORTED, ("table", "show", "r.toml", "--json")),
            _Kind(_TRAINED, ("train", "r.toml")),
            _Kind(_ELASTIC, ("train", "r.toml")),
            _Kind(_GIVEN, ("train", "r.toml")),
            _Kind(_STARTED, ("train", "r.toml")),
            _Kind(_UNION, ("train", "r.toml")),
            _Kind(_CALLED, ("search", "r.toml", "--json")),
            _Kind(_ELSEWHERE, ("table", "show", "r.toml")),
            _Kind(_MEASURED, ("table", "keys", "r.toml")),
            _Kind(_COMMANDED, ("table", "keys", "r.toml")),
        )
        self._keys = dict(keys_of_recipes())
        self._files = folder / "files"
        self._files.mkdir()
        (self._files / "tiny.py").write_text(TINY)
        (self._files / "text.sqlite").write_text("no database\n")
        (self._files / "text.csv").write_text("no,table\n")
        save_file(_shared(), self._files / "shared.safetensors")
        save_file(_largest(), self._files / "largest.safetensors")
        (folder / "r.toml").write_text(toml_text.document(_IMPORTED))
        (folder / "t.csv").write_text(_plain_table())
        store = filled(folder / "r.toml", "t.csv", "store.sqlite", self._environment)
        (self._files / "store.sqlite").write_bytes(store)

    def original(self, number: int, folder: Path) -> Case:
        kind = self._kinds[number]
        return self._case(kind, toml_text.document(kind.recipe).encode(), "nothing", folder, True)

    def case(self, rng: random.Random, folder: Path) -> Case:
        kind = rng.choice(self._kinds)
        draw = rng.random()
        text = toml_text.document(kind.recipe)
        if draw < 0.02:
            shutil.copytree(self._files, folder, dirs_exist_ok=True)
            change = special.put(rng, folder / "r.toml")
            commands = (tuple(kind.command),)
            return Case(
                f"{change} in its place", commands, lambda ran: None, False, self._environment
            )
        if draw < 0.14:
            content, change = damaged(rng, text.encode())
            return self._case(kind, content, change, folder, False)
        if draw < 0.26:
            changed, change, is_right = rng.choice(_TEXT)(rng, text)
            content = changed.encode("utf-8-sig" if change == "a byte-order mark" else "utf-8")
            return self._case(kind, content, change, folder, is_right)
        while True:
            recipe = copy.deepcopy(kind.recipe)
            changes = [self._changed(rng, recipe) for _ in range(rng.choice((1, 1, 1, 2, 3)))]
            if _is_quick(recipe, kind.command):
                break
        text = toml_text.document(recipe).replace(f'"{_HUGE}"', "9" * 5_000)
        content = text.encode("utf-8", "surrogatepass")
        return self._case(kind, content, "; ".join(changes), folder, False)

    def _case(self, kind: _Kind, content: bytes, change: str, folder: Path, is_right: bool) -> Case:
        shutil.copytree(self._files, folder, dirs_exist_ok=True)
        os.mkfifo(folder / "pipe")
        (folder / "r.toml").write_bytes(content)

        def reason(ran: Sequence[Ran]) -> str | None:
            try:
                recipe = tomllib.loads(_text_of(content))
            except (ValueError, RecursionError) as error:
                raise AssertionError(f"it is no TOML: {error}") from None
            front = json.loads(ran[0].out) if ran[0].arguments[::2] == ("search", "--json") else []
            if wrong := next(recipe_laws.unmet(recipe, front), None):
                raise AssertionError(wrong)
            if recipe == kind.recipe:
                return "the same settings, written in another way"
            if wrong := next(recipe_laws.violations(recipe), None):
                raise AssertionError(wrong)
            return "each setting is one that it may have, and what is found keeps the limits"

        told = f"{kind.recipe['name']}: {change}"
        return Case(told, (tuple(kind.command),), reason, is_right, self._environment)

    def _changed(self, rng: random.Random, recipe: dict[str, Any]) -> str:
        """Changes a recipe in place."""
        sections = [name for name, section in recipe.items() if isinstance(section, dict)]
        section = rng.choice(sections) if sections else "space"
        match rng.randrange(12):
            case 0:
                del recipe[section]
                return f"without [{section}]"
            case 1:
                recipe[section] = values.anything(rng)
                return f"{section} is {values.told(recipe[section])}"
            case 2:
                name = rng.choice(("spaces", section.upper(), f"{section}s", values.text(rng)))
                recipe[name] = rng.choice((recipe.get(section), values.anything(rng)))
                return f"{values.told(name)} is {values.told(recipe[name])}"
            case 3:
                within = recipe[section]
                old = rng.choice(list(within)) if within else "name"
                name = rng.choice((old[:-1], f"{old}_", old.upper(), values.text(rng), "nonsense"))
                within[name] = within.pop(old, values.anything(rng))
                return f"[{section}] {old} is called {values.told(name)}"
        path = rng.choice(list(self._keys))
        if rng.random() < 0.5:  # one that is there
            path = rng.choice([name for name, _ in recipe_laws.settings(recipe)] or [path])
        at, (*outer, key) = recipe, path.split(".")
        for name in outer:
            at[name] = at[name] if isinstance(at.get(name), dict) else {}
            at = at[name]
        if key in at and rng.random() < 0.15:
            del at[key]
            return f"without {path}"
        at[key] = self._value(rng, path, at.get(key))
        return f"{path} is {values.told(at[key])}"

    def _value(self, rng: random.Random, path: str, old: Any) -> Any:
        known = self._keys.get(path, ())
        draw = rng.random()
        if draw < 0.03:
            return _HUGE
        if known and draw < 0.5:
            one = rng.choice(known)
            return rng.choice((one, one, one, one.upper(), f"{one}s", [one], [one, one]))
        if isinstance(old, int) and draw < 0.8:
            return rng.choice(_SIZES)
        if (old is None or isinstance(old, str)) and draw < 0.8:
            return rng.choice(_NAMES)
        return values.other(rng, old) if old is not None else values.anything(rng)


def _is_quick(recipe: dict[str, Any], command: Sequence[str]) -> bool:
    """Whether it is refused, or done in a second: long searches and trainings are nothing wrong."""
    search, accuracy = recipe.get("search"), recipe.get("accuracy")
    sizes = [search.get(name) for name in _LONG] if isinstance(search, dict) else []
    if command[0] == "train" and (accuracy is None or isinstance(accuracy, dict)):
        asked = accuracy or {}
        sizes += [1 if "module" in asked else _MOST]
        sizes += [asked.get(name, _MOST) for name in _epochs(recipe, asked)]
    return all(type(n) is not int or n < _MOST or n >= 2**63 for n in sizes)


def _epochs(recipe: dict[str, Any], accuracy: dict[str, Any]) -> tuple[str, ...]:
    """Keys of how long is trained."""
    if "trained" in accuracy:
        return ()
    if isinstance(recipe.get("space"), list):
        return ("supernet_epochs", "train_epochs", "stitch_epochs")
    is_elastic = recipe.get("space") == _ELASTIC["space"]
    return ("supernet_epochs",) if is_elastic else ("train_epochs", "stitch_epochs")


def _text_of(content: bytes) -> str:
    """Text whose lines may end in any way."""
    return content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")


def keys_of_recipes() -> Iterator[tuple[str, tuple[str, ...]]]:
    """Every key of the models by its dotted name, with the texts that its type names."""
    from tailorbird.recipe import Recipe

    yield from _keys_of(Recipe, "")
    of_spaces = ("kernel", "stride", "max_stitches", "below_larger_anchor", "n_classes", "modul")
    for name in of_spaces:
        yield f"space.{name}", ()
    for key, names in _NAMED.items():
        yield key, tuple(names)
    yield "space.pairs", ("neighbours", "all")
    yield "space.stitches", ("windows", "two-way")


_NAMED: dict[str, Iterable[str]] = {
    "accuracy.data": DATA_SETS,
    "accuracy.predictor": ACCURACY_PREDICTORS,
    "accuracy.routes": ROUTE_DRAWS,
    "accuracy.rule": TRAINING_RULES,
    "accuracy.zero_cost": ZERO_COST_SCORES,
    "latency.predictor": LATENCY_PREDICTORS,
    "latency.runtime": (*RUNTIMES, IMPORTED),
    "search.algorithm": ALGORITHMS,
}


def _keys_of(model: type[BaseModel], of: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    for name, field in model.model_fields.items():
        inner = field.annotation
        either = typing.get_args(inner) or (inner,)
        if _is_section(either[0]) and type(None) not in either:
            yield from _keys_of(either[0], f"{of}{name}.")
        else:
            yield f"{of}{name}", tuple(_literals(inner))


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _literals(annotation: Any) -> Iterator[str]:
    for argument in typing.get_args(annotation):
        if isinstance(argument, str):
            yield argument
        else:
            yield from _literals(argument)


def _shared() -> Any:
    """Weights of the elastic space, as nobody trained them."""
    from tailorbird.spaces.elastic.residual_networks import digits_elastic
    from tailorbird.training import SharedNetwork

    return SharedNetwork(digits_elastic(1, 10)).state_dict()


def _largest() -> Any:
    """Weights of the largest elastic network, as nobody trained them."""
    from tailorbird.spaces.elastic.residual_networks import digits_elastic
    from tailorbird.spaces.shared import smallest_and_largest

    space = digits_elastic(1, 10)
    return space.build(smallest_and_largest(space)[1]).state_dict()


def _plain_table() -> str:
    """Latencies of the workloads of the space, made up."""
    from tailorbird import spaces

    keys = [workload.key for workload in spaces.get(published.SPACE).workloads]
    return "key,ms\n" + "".join(f'"{key}",{1 + i / 10}\n' for i, key in enumerate(keys))


def _again(rng: random.Random, text: str) -> tuple[str, str, bool]:
    lines = text.splitlines()
    number = rng.choice([i for i, line in enumerate(lines) if line])
    return "\n".join([*lines[:number], lines[number], *lines[number:]]), "a line twice", False


def _nested(rng: random.Random, text: str) -> tuple[str, str, bool]:
    n = rng.choice((20, 500, 3_000, 100_000))
    left, right = rng.choice(("[]", ("{a = ", "}")))
    return f"x = {left * n}{right * n}\n{text}", f"{n} nested brackets", False


def _dotted(rng: random.Random, text: str) -> tuple[str, str, bool]:
    n = rng.choice((20, 3_000, 100_000))
    return f"{'a.' * n}a = 1\n{text}", f"a key of {n} dots", False


def _odd(rng: random.Random, text: str) -> tuple[str, str, bool]:
    line = rng.choice(
        (
            *(
                'x = """',
                "x = 1979-05-27",
                "x = 0x1G",
                "= 1",
                "x",
                "[space",
                "[[space]]",
                "x = 1 2",
            ),
            *("# \x00", "# \x1b[2J", 'x = "\\q"', "x = 'a\x07'", "[search]", "name = 'again'"),
            *("x = +", "x = 1e999999999", "x = 0b2", "x = 1__0", "space.name = 'a'", "\u2028"),
        )
    )
    return rng.choice((f"{line}\n{text}", f"{text}\n{line}\n")), f"the line {line!r}", False


def _harmless(rng: random.Random, text: str) -> tuple[str, str, bool]:
    return rng.choice(
        (
            (text, "a byte-order mark", True),
            (text.replace("\n", "\r\n"), "lines end as on Windows", True),
            (text.replace("\n", "  # é 🐦\n"), "a comment behind every line", True),
            ("\n\n" + text.replace(" = ", "\t=\t"), "other spaces", True),
            (text.replace("name", '"name"'), "keys in quotes", True),
            (text.rstrip("\n"), "no end of line at the end", True),
        )
    )


_TEXT: tuple[Callable[[random.Random, str], tuple[str, str, bool]], ...] = (
    *(_again, _nested, _dotted, _odd, _odd, _harmless, _harmless),
)
