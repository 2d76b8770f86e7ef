"""The database behind a store: refused if it is not ours, and its faults told in a sentence."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from tailorbird.errors import RecipeError, StoreError
from tailorbird.latency_tables.schema import MADE_BY, METADATA, VERSION, is_store
from tailorbird.latency_tables.url import masked

PATIENCE_S = 30.0
"""How long to wait for another writer."""

_WAYS_OUT = {
    "full": "Make room, then run again: what was measured before is kept.",
    "i/o error": "Make room or mend the disk, then run again: what was measured before is kept.",
    "locked": "Another program holds it: wait for that, then run again.",
    "readonly": "Make it and its folder writable, or name another in [latency] store.",
    "malformed": "It was damaged: move it away, or bring back a copy.",
    "not a database": "It was damaged: move it away, or bring back a copy.",
}


class Database:
    """Transactions on a database with the tables of a store, which are made if it is empty.

    SQLite files are kept in WAL mode: readers beside one writer.

    Args:
        url: of the database, for SQLAlchemy.

    Raises:
        RecipeError: if it cannot be opened, or is anything else than a store of this version;
            then a file is left as it was.
        StoreError: if the disk is full or faulty.
    """

    def __init__(self, url: str) -> None:
        self.name = "in [latency]"
        try:
            parsed = sa.make_url(url)
            self.name = masked(url)
            if parsed.get_backend_name() == "sqlite":
                self.name = _path_of(parsed)
                _inspect(self.name)
            self._engine = sa.create_engine(parsed)
            if self._engine.dialect.name == "sqlite":
                sa.event.listen(self._engine, "connect", _tune)
                sa.event.listen(self._engine, "begin", _begin)
            self._writing = self._engine.execution_options(writes=True)
            with self._engine.begin() as connection:
                there = is_store(connection, self.name)
            if not there:
                self._create()
        except RecipeError:
            raise
        except (sa.exc.SQLAlchemyError, sqlite3.Error, ImportError, ValueError) as error:
            if any(sign in _reason(error).lower() for sign in ("full", "i/o error")):
                raise self._fault(error) from error
            raise RecipeError(
                f"The store {self.name} cannot be opened ({_reason(error)}). "
                "Name another in [latency] store, or move a damaged file away."
            ) from error

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A transaction that reads.

        Raises:
            StoreError: if the database fails.
        """
        with self._told(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A transaction that writes all or nothing.

        Raises:
            StoreError: if the database fails.
        """
        with self._told(), self._writing.begin() as connection:
            yield connection

    def _create(self) -> None:
        with self._writing.begin() as connection:
            if connection.dialect.name == "postgresql":  # SQLite's writers stand in a queue anyway
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(VERSION)))
            if not is_store(connection, self.name):  # another process may have been faster
                METADATA.create_all(connection)
                connection.execute(sa.insert(MADE_BY).values(schema=VERSION))

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (sa.exc.DBAPIError, sa.exc.TimeoutError) as error:
            raise self._fault(error) from error

    def _fault(self, error: Exception) -> StoreError:
        reason = _reason(error)
        ways_out = (text for sign, text in _WAYS_OUT.items() if sign in reason.lower())
        way_out = next(ways_out, "What was kept before is kept; mend it, then run again.")
        return StoreError(f"The store {self.name} failed ({reason}). {way_out}")


def _path_of(url: sa.URL) -> str:
    if url.database in {None, "", ":memory:"} or str(url.database).startswith("file:"):
        raise RecipeError(
            f"The store must be a file that stays, but got {url.render_as_string()!r}. "
            "Name a path in [latency] store."
        )
    return str(url.database)


def _inspect(path: str) -> None:
    """Refuses a file through a connection that cannot write to it."""
    if not Path(path).exists():
        return
    uri = f"{Path(path).absolute().as_uri()}?mode=ro"
    engine = sa.create_engine(
        "sqlite://",
        creator=lambda: sqlite3.connect(uri, uri=True, timeout=PATIENCE_S),
        poolclass=sa.NullPool,
    )
    with engine.connect() as connection:
        if is_store(connection, path):
            found = connection.execute(sa.text("PRAGMA quick_check(1)")).scalar_one()
            if found != "ok":
                raise sqlite3.DatabaseError(str(found))


def _tune(connection: Any, record: Any) -> None:
    """Our own transactions, a patient wait for the other writer, and WAL."""
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout={1000 * PATIENCE_S:.0f}")
    if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        with suppress(sqlite3.OperationalError):  # another process is about to do the same
            connection.execute("PRAGMA journal_mode=WAL")


def _begin(connection: sa.Connection) -> None:
    """A writer takes its place in the queue at once; a reader that turned writer could not."""
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _reason(error: Exception) -> str:
    return (str(getattr(error, "orig", None) or error).splitlines() or [""])[0]
