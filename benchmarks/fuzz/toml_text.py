"""Nested values as TOML, whatever their keys and texts hold."""

import json
import math
import re
from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def document(tables: dict[str, Any]) -> str:
    """Sections under headers, what is in none before them; None is left out."""
    plain = {name: value for name, value in tables.items() if not isinstance(value, dict)}
    text = "".join(_lines(plain))
    for name, section in tables.items():
        if isinstance(section, dict):
            text += f"\n[{key(name)}]\n" + "".join(_lines(section))
    return text


def _lines(section: dict[str, Any]) -> list[str]:
    return [f"{key(name)} = {value(v)}\n" for name, v in section.items() if v is not None]


def key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _string(name)


def value(of: Any) -> str:
    if isinstance(of, bool):
        return str(of).lower()
    if isinstance(of, dict):
        inner = (f"{key(str(name))} = {value(v)}" for name, v in of.items() if v is not None)
        return "{" + ", ".join(inner) + "}"
    if isinstance(of, list | tuple):
        return "[" + ", ".join(value(v) for v in of if v is not None) + "]"
    if isinstance(of, float):
        return repr(of) if math.isfinite(of) else str(of)
    return _string(of) if isinstance(of, str) else str(of)


def _string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")
