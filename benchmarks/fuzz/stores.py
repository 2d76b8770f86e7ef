"""Stores that are filled by the command line, and then copied."""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from fuzz.command import run


def filled(recipe: Path, table: str, store: str, environment: Mapping[str, str]) -> bytes:
    """The store of a recipe once a table beside it was imported, all of it in one file.

    Args:
        recipe: its file, in an otherwise unused folder.
        table: name of a file beside it.
        store: where the recipe keeps it, from there.
        environment: variables of the command.
    """
    ran = run(("table", "import", recipe.name, table), recipe.parent, environment)
    assert ran.code == 0, ran.err
    copy = recipe.with_name("copy.sqlite")
    with closing(sqlite3.connect(recipe.parent / store)) as connection:
        connection.execute("VACUUM INTO ?", (str(copy),))
    return copy.read_bytes()
