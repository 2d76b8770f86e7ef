"""Databases that were damaged: what gives them away, what SQLite finds in them, and the error."""

import sqlite3
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa

from tailorbird.errors import DamagedStoreError
from tailorbird.latency_tables.url import masked

DECODING = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError)
"""What Python raises about a cell that does not hold what was written into it."""

_SIGNS = ("malformed", "not a database", "could not decode", "codec can't decode", "corrupt")
_LONGEST = 200  # characters of what a database says


def is_damage(reason: str) -> bool:
    """Whether what a driver says is of a damaged file, and of nothing that passes."""
    return any(sign in reason.lower() for sign in _SIGNS)


def damaged(url: str, reason: str) -> DamagedStoreError:
    """The error of a database that holds what nobody wrote.

    Args:
        url: of the database, for SQLAlchemy; an SQLite file is looked through.
        reason: what gave it away.
    """
    parsed, name, told = sa.make_url(url), masked(url), _short(reason)
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        name = parsed.database
        told += f"; SQLite's integrity check {integrity(name)}"
    return DamagedStoreError(
        f"The store {name} was damaged ({told}). Move it away, or bring back a copy of it."
    )


def integrity(path: str) -> str:
    """The first thing that SQLite finds in a file, such as `says: row 3 missing from index a`."""
    uri = f"{Path(path).absolute().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    except (sqlite3.Error, ValueError) as error:
        return f"fails: {_short(str(error))}"
    return "finds nothing else" if found == "ok" else f"says: {_short(found)}"


def _short(text: str) -> str:
    """A text as part of a sentence, without the header above what SQLite found."""
    lines = [line for line in text.splitlines() if not line.startswith("***")]
    return " ".join(" ".join(lines).split())[:_LONGEST].rstrip(". ")
