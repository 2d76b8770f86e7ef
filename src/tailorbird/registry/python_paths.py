"""Python paths, `package.module:name`, of what tables name."""

import re
from collections.abc import Iterable
from importlib import import_module
from typing import Any

from tailorbird.errors import ContractError, naming_extras, nearest, shown

PATTERN = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


def is_path(name: str) -> bool:
    """True for a Python path; no registered name is one, as a path holds a colon."""
    return PATTERN.fullmatch(name) is not None


def check_named(name: str, known: Iterable[str], what: str) -> None:
    """Refuses a name that is not in a table.

    Args:
        name: to look for.
        known: names of the table.
        what: has such names.

    Raises:
        ContractError: if so.
    """
    names = [*known]
    if name not in names:
        raise ContractError(f"There is no {what} {shown(name)}; {nearest(name, names)}")


def load(path: str) -> Any:
    """Imports what a path of a table names.

    Paths of users' code are resolved by `tailorbird.pipeline.python_path`.

    Raises:
        MissingPackageError: if it needs a package of an extra that is not installed.
    """
    module, _, name = path.partition(":")
    with naming_extras():
        return getattr(import_module(module), name)
