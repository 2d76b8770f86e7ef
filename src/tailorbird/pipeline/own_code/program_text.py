"""Program text of what a Python path names, and of what that uses of the user's own."""

import ast
import hashlib
import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from tailorbird.pipeline.python_path import is_users

_LENGTH = 8  # hexadecimal digits


@cache  # of the text that was there when the function was imported
def digest(path: str, function: Callable[..., Any]) -> str:
    """Digits that change with the text of a function, comments apart, and of what it uses.

    Functions, classes and values of its module count as far as they are named, and whole modules
    of the user's that these import. Installed packages, and files that are read, have no part.

    Args:
        path: `package.module:name`, imported already.
        function: that it names.
    """
    module, _, name = path.partition(":")
    texts = sorted({*_used(sys.modules[module], name)})
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:_LENGTH]


def _used(module: ModuleType, name: str) -> Iterator[str]:
    """Texts of all statements that a name of a module leads to."""
    statements = _statements(module)
    ahead, seen = [name, "*"], set[str]()  # what is imported with a star may be anything
    while ahead:
        name = ahead.pop()
        if name in seen:
            continue
        seen.add(name)
        for statement in statements.get(name, ()):
            yield ast.unparse(statement)
            for node in ast.walk(statement):
                if isinstance(node, ast.Name):
                    ahead.append(node.id)
                elif isinstance(node, ast.Import | ast.ImportFrom):
                    yield from _imported(node, module)


def _statements(module: ModuleType) -> Mapping[str, list[ast.stmt]]:
    """Statements of a user's module by the names that they define; none of other modules."""
    found: dict[str, list[ast.stmt]] = {}
    for statement in _tree(module.__name__).body:
        for name in {*_defined(statement)}:
            found.setdefault(name, []).append(statement)
    return found


def _defined(statement: ast.stmt) -> Iterator[str]:
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield statement.name
        return
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.alias):
            yield (node.asname or node.name).partition(".")[0]


def _imported(node: ast.Import | ast.ImportFrom, module: ModuleType) -> Iterator[str]:
    """Whole texts of the user's modules that a statement imports."""
    names = [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        package = (module.__package__ or "").split(".")
        above = package[: len(package) + 1 - node.level] if node.level else []
        base = ".".join([*above, node.module] if node.module else above)
        names = [base, *(f"{base}.{name}" for name in names)]
    for name in names:
        if (tree := _tree(name)).body:
            yield ast.unparse(tree)


def _tree(name: str) -> ast.Module:
    """Syntax tree of a module of the user's, imported or not; an empty one of others."""
    with suppress(ImportError, ValueError, AttributeError, OSError, SyntaxError):
        top = importlib.util.find_spec(name.partition(".")[0])
        if top is not None and is_users(top.origin or "<none>"):
            spec = importlib.util.find_spec(name)
            if spec is not None and spec.origin is not None:
                return ast.parse(Path(spec.origin).read_bytes())
    return ast.Module([], [])
