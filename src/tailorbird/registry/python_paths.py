"""Python paths, `package.module:name`, of what tables name."""

import re
from importlib import import_module
from typing import Any

PATTERN = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


def is_path(name: str) -> bool:
    """True for a Python path; no registered name is one, as a path holds a colon."""
    return PATTERN.fullmatch(name) is not None


def load(path: str) -> Any:
    """Imports what a path of a table names.

    Paths of users' code are resolved by `tailorbird.pipeline.python_path`.
    """
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)
