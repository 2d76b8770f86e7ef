"""Errors of a run name the path of its recipe, whichever of its methods was called."""

import functools
from collections.abc import Callable
from inspect import isfunction
from pathlib import Path
from typing import Any, Protocol, TypeVar

from tailorbird.errors import told_of


class HasPath(Protocol):
    """What was opened from a recipe."""

    @property
    def path(self) -> Path | None:
        """Path of the recipe; None if it was read from no file."""


Opened = TypeVar("Opened", bound=HasPath)


def path_in_errors(opened: type[Opened]) -> type[Opened]:
    """Wraps the public methods of a class, so that their errors name the path of the recipe."""
    for name, method in list(vars(opened).items()):
        if isfunction(method) and not name.startswith("_"):
            setattr(opened, name, _told(method))
    return opened


def _told(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def told(opened: HasPath, *arguments: Any, **options: Any) -> Any:
        with told_of(opened.path):
            return method(opened, *arguments, **options)

    return told
