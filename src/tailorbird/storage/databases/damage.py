"""Damaged databases: signs of damage, and what SQLite finds in a file."""

import sqlite3
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa

DECODING = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError)
"""Errors of Python about a cell that does not hold what was written into it."""

WAY_OUT = "It was damaged: move it away, or bring back a copy."

_SIGNS = ("malformed", "not a database", "could not decode", "codec can't decode", "corrupt")
_LONGEST = 200  # characters of what a database says


def is_damage(reason: str) -> bool:
    """True if a driver's words are those about a damaged file, which does not mend itself."""
    return any(sign in reason.lower() for sign in _SIGNS)


def examined(url: str, reason: str) -> str:
    """Returns the reason as part of a sentence, with what SQLite finds if it is a file.

    Args:
        url: of the database, for SQLAlchemy.
        reason: that a driver or Python gave.
    """
    parsed, told = sa.make_url(url), _short(reason)
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        return f"{told}; SQLite's integrity check {integrity(parsed.database)}"
    return told


def integrity(path: str) -> str:
    """Checks a file; returns SQLite's first finding, such as `says: row 3 missing from index a`."""
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
