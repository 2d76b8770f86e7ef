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
_ALL = "*"  # what `from module import *` defines


@cache  # of the text that was there when the function was imported
def digest(path: str, function: Callable[..., Any]) -> str:
    """Digits that change with the text of a function, comments apart, and of what it uses.

    Functions, classes and values of its module count as far as they are named, and whole modules
    of the user's that these import, and so on. Installed packages, and files that are read, have
    no part.

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
    package = module.__package__ or ""
    ahead, seen, modules = [name, _ALL], set[str](), set[str]()
    while ahead:
        name = ahead.pop()
        if name in seen:
            continue
        seen.add(name)
        for statement in statements.get(name, ()):
            yield ast.unparse(statement)
            yield from _imported(statement, package, modules)
            ahead += [node.id for node in ast.walk(statement) if isinstance(node, ast.Name)]


def _statements(module: ModuleType) -> Mapping[str, list[ast.stmt]]:
    """Statements of a user's module by the names that they define; none of other modules."""
    found: dict[str, list[ast.stmt]] = {}
    for statement in _tree(module.__name__)[0].body:
        for name in {*_defined(statement)}:
            found.setdefault(name, []).append(statement)
    return found


def _defined(statement: ast.stmt) -> Iterator[str]:
    """Names that a statement defines, or changes what they stand for."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield statement.name
        return
    for node in ast.walk(statement):
        if isinstance(node, ast.Name | ast.Attribute | ast.Subscript):
            if isinstance(node.ctx, ast.Store):
                yield _root(node)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            if isinstance(node.value.func, ast.Attribute):  # such as TABLE.update(...)
                yield _root(node.value)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.alias):
            yield (node.asname or node.name).partition(".")[0]


def _root(node: ast.expr) -> str:
    """The name that an expression such as `name.x["y"]` begins with; empty if it is another."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def _imported(within: ast.AST, package: str, seen: set[str]) -> Iterator[str]:
    """Whole texts of the user's modules that are imported within a tree, and of what these import.

    Args:
        within: the tree.
        package: of its module.
        seen: modules that were met before; those that are met now are added.
    """
    for node in ast.walk(within):
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        for name in _named(node, package):
            if name in seen:
                continue
            seen.add(name)
            tree, its_package = _tree(name)
            if tree.body:
                yield ast.unparse(tree)
                yield from _imported(tree, its_package, seen)


def _named(node: ast.Import | ast.ImportFrom, package: str) -> list[str]:
    """Names of modules that a statement may import."""
    names = [alias.name for alias in node.names]
    if isinstance(node, ast.Import):
        return names
    parts = package.split(".")
    above = parts[: len(parts) + 1 - node.level] if node.level else []
    base = ".".join([*above, node.module] if node.module else above)
    return [base, *(f"{base}.{name}" for name in names)]


def _tree(name: str) -> tuple[ast.Module, str]:
    """Syntax tree and package of a module of the user's, imported or not; empty ones of others."""
    with suppress(ImportError, ValueError, AttributeError, OSError, SyntaxError):
        top = importlib.util.find_spec(name.partition(".")[0])
        if top is not None and is_users(top.origin or "<none>"):
            spec = importlib.util.find_spec(name)
            if spec is not None and spec.origin is not None:
                return ast.parse(Path(spec.origin).read_bytes()), spec.parent or ""
    return ast.Module([], []), ""
