"""Values that are no good, or hardly: of every type, size and nesting."""

import math
import random
from typing import Any

TEXTS = (
    *("", " ", "\x00", "a\x00b", "\x1b[2J\x1b[31mred", "\x9b31m", "a\rb", "a\nb", "a\tb", "\x7f"),
    *("\u202eabc", "\ufeffa", "é" * 50, "名前", "🐦", "\ud800", "\udfff", "null", "NaN", "true"),
    *("-1", "0", "1e400", "0x10", "../../x", "/etc/passwd", "/dev/null", "~", "$HOME", "%s%n"),
    *("{0}", "<script>alert(1)</script>", "'; DROP TABLE sample; --", "a" * 300, "b" * 70_000),
)

NUMBERS = (
    *(0, -1, 1, 2, 3, 7, 1000, 2**31, 2**32, -(2**31), 2**53 + 1, 2**63 - 1, 2**63, -(2**63) - 1),
    *(2**64, 10**30, -(10**30), 10**400, 0.0, -0.0, 0.5, 1.5, -1.5, 5e-324, 1e-310, 1e-10, 1e10),
    *(1e308, -1e308, math.inf, -math.inf, math.nan),
)


def text(rng: random.Random) -> str:
    if rng.random() < 0.7:
        return rng.choice(TEXTS)
    points = (rng.choice((0x20, 0x7F, 0x300, 0xFFFF)) for _ in range(rng.randint(1, 12)))
    return "".join(chr(rng.randint(0, point)) for point in points)


def number(rng: random.Random) -> float:
    if rng.random() < 0.8:
        return rng.choice(NUMBERS)
    return rng.choice(
        (rng.uniform(-10, 10), rng.randint(-1000, 1000), 10.0 ** rng.randint(-20, 20))
    )


def nested(rng: random.Random, depth: int) -> Any:
    value: Any = rng.choice((0, "a", None))
    for _ in range(depth):
        value = [value] if rng.random() < 0.5 else {"a": value}
    return value


def anything(rng: random.Random) -> Any:
    """A value of JSON's types, that is NaN or infinite now and then."""
    match rng.randrange(10):
        case 0:
            return None
        case 1:
            return rng.random() < 0.5
        case 2 | 3 | 4:
            return number(rng)
        case 5 | 6:
            return text(rng)
        case 7:
            return [anything(rng) for _ in range(rng.choice((0, 1, 3)))]
        case 8:
            return {text(rng): anything(rng) for _ in range(rng.choice((0, 1, 2)))}
    return nested(rng, rng.choice((1, 3, 90)))


def other(rng: random.Random, old: Any) -> Any:
    """A value in the place of another: near it, of another type, or anything."""
    near: list[Any] = [None, str(old), [old], {"a": old}]
    if isinstance(old, bool):
        near += [int(old), not old]
    elif isinstance(old, int):
        near += [-old, old + 1, old - 1, float(old), old * 10**12, old > 0, old + 0.5]
    elif isinstance(old, float):
        near += [-old, old * 1e-12, old * 1e12, round(old), repr(old), old * 1.001]
    elif isinstance(old, str):
        near += [old[:-1], old + "x", old.upper(), f" {old}", old.replace("0", "9"), len(old)]
    elif isinstance(old, list):
        near += [old[:-1], old[::-1], old * 2, old * 300, dict(enumerate(old)), *old[:1]]
    elif isinstance(old, dict):
        near += [list(old), list(old.values()), *list(old.values())[:1]]
    return rng.choice(near) if rng.random() < 0.4 else anything(rng)


def told(value: Any) -> str:
    """A value for people, short."""
    try:
        said = repr(value)
    except ValueError:  # of more than 4,300 digits
        return "an integer of thousands of digits"
    return said if len(said) <= 60 else f"{said[:50]}… ({len(said)} characters)"
