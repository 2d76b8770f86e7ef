"""How the code reads: short functions, and first lines that name the thing."""

import ast
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from textwrap import dedent
from typing import TypeGuard

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "src").rglob("*.py"))
MOST_LINES, DEEPEST = 60, 4
NESTS = (ast.For, ast.While, ast.If, ast.With, ast.Try, ast.Match)
Function = ast.FunctionDef | ast.AsyncFunctionDef
WORDS = """
    about above across after against along among around as at before behind below beneath beside
    between beyond by despite down during except for from in inside into like near of off on onto
    out outside over past per since than through throughout till to toward towards under until up
    upon via which with within without likewise whether
"""
PREPOSITIONS = frozenset(WORDS.split())


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def functions(tree: ast.AST) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def documented(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Name and text of what is documented; constants and attributes have theirs below them."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, Function)) and (
            text := ast.get_docstring(node)
        ):
            yield getattr(node, "name", "the module"), text
        if isinstance(node, (ast.Module, ast.ClassDef)):
            for one, below in pairwise(node.body):
                if isinstance(one, (ast.Assign, ast.AnnAssign)) and is_text(below):
                    yield ast.unparse(one), ast.literal_eval(below.value)


def is_text(node: ast.stmt) -> TypeGuard[ast.Expr]:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def depth(node: ast.AST) -> int:
    """Blocks within blocks; an `elif` is as deep as its `if`, a function inside is its own."""
    deepest = 0
    for name, value in ast.iter_fields(node):
        below = value if isinstance(value, list) else [value]
        is_elif = isinstance(node, ast.If) and name == "orelse" and len(below) == 1
        for one in below:
            if isinstance(one, ast.AST) and not isinstance(one, (Function, ast.ClassDef)):
                nests = isinstance(one, NESTS) and not (is_elif and isinstance(one, ast.If))
                deepest = max(deepest, depth(one) + nests)
    return deepest


def first_word(text: str) -> str:
    return text.split()[0].strip(".,:;`'\"").lower()


def test_blocks_are_counted_as_they_are_indented() -> None:
    text = "def f():\n if a:\n  pass\n elif b:\n  for c in d:\n   with e:\n    pass"
    assert depth(ast.parse(text).body[0]) == 3


def test_texts_below_constants_are_read_too() -> None:
    text = """
    "the module"
    A = 1
    "text of A"
    class C:
        b: int = 2
        "text of b"
        def f(self):
            c = 3
            "no text of c"
    """
    told = [text for _, text in documented(ast.parse(dedent(text)))]
    assert told == ["the module", "text of A", "text of b"]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT / "src")))
def test_a_module_reads_well(path: Path) -> None:
    tree = parsed(path)
    for function in functions(tree):
        n_lines = (function.end_lineno or 0) - function.lineno + 1
        assert n_lines <= MOST_LINES, f"{function.name} is long"
        assert depth(function) <= DEEPEST, f"{function.name} nests deeply"
    for name, text in documented(tree):
        assert first_word(text) not in PREPOSITIONS, f"{name}: {text}"
