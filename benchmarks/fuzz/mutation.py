"""Changes at random places of nested values, such as JSON holds."""

import copy
import random
from collections.abc import Callable
from typing import Any

from fuzz import values

Slots = Callable[[Any], list[Any]]


def mutated(rng: random.Random, value: Any) -> tuple[Any, str]:
    """A copy of an object or list in which something is changed, and what."""
    value = copy.deepcopy(value)
    at, path = value, ""
    while True:
        key = rng.choice(_keys(at)) if _keys(at) else None
        inner = at[key] if key is not None else None
        if key is None or not (isinstance(inner, dict | list) and inner) or rng.random() < 0.15:
            return value, f"{path}: {_changed(rng, at, key)}"
        at, path = inner, f"{path}.{key}".removeprefix(".")


def _keys(value: Any) -> list[Any]:
    return list(value) if isinstance(value, dict) else list(range(len(value)))


def _changed(rng: random.Random, at: Any, key: Any) -> str:
    """Changes an object or list in place."""
    change = rng.randrange(12) if key is not None else 11
    if change <= 6:
        old = at[key]
        at[key] = values.other(rng, old)
        return f"{key} is {values.told(at[key])}, not {values.told(old)}"
    if change == 7:
        del at[key]
        return f"without {key}"
    if change == 8:
        another = rng.choice(_keys(at))
        at[key], at[another] = at[another], at[key]
        return f"{key} and {another} swapped"
    if change == 9:
        another = rng.choice(_keys(at))
        at[key] = copy.deepcopy(at[another])
        return f"{key} as {another}"
    if change == 10 and isinstance(at, dict):
        name = rng.choice((str(key).upper(), f" {key}", f"{key}s", values.text(rng)))
        at[name] = at.pop(key)
        return f"{key} is called {values.told(name)}"
    new = values.anything(rng)
    if isinstance(at, dict):
        name = values.text(rng)
        at[name] = new
        return f"{values.told(name)} is {values.told(new)}"
    at.insert(rng.randint(0, len(at)), new)
    return f"{values.told(new)} more"
