"""Database behind a store: other databases are refused, and faults become one sentence."""

import sqlite3
import stat
import warnings
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from tailorbird.errors import (
    DamagedStoreError,
    MeasurementError,
    ReadOnlyStoreError,
    StoreError,
    UnfitStoreError,
    in_a_line,
)
from tailorbird.latency_tables.store.schema import create, is_store
from tailorbird.storage.databases.connection import PATIENCE_S, options, wait_alone
from tailorbird.storage.databases.damage import DECODING, WAY_OUT, examined, is_damage
from tailorbird.storage.databases.faults import reason, way_out
from tailorbird.storage.databases.presence import watch
from tailorbird.storage.databases.url import masked

_UNFIT = (sa.exc.SQLAlchemyError, sa.exc.SAWarning, sqlite3.Error, ImportError, ValueError)


class Database:
    """Transactions on a database with the tables of a store, which are made if it is empty.

    SQLite files are kept in WAL mode: readers beside one writer. On PostgreSQL, whoever reads
    sees one moment, and whoever writes sees what others committed before each statement.

    Args:
        url: of the database, for SQLAlchemy.

    Raises:
        UnfitStoreError: if it cannot be opened, or is anything else than a store of this version;
            then it is left as it was.
        DamagedStoreError: if it is no longer what was written.
        StoreError: if the disk is full or faulty.
    """

    def __init__(self, url: str) -> None:
        self.name = "of this URL"  # which may hold a password
        self._url = url
        try:
            parsed = sa.make_url(url)
            asked = options(parsed)
            self.name = masked(url)
            if parsed.get_backend_name() == "sqlite":
                self.name = _path_of(parsed)
                _inspect(self.name)
            with warnings.catch_warnings():
                warnings.simplefilter("error", sa.exc.SAWarning)  # options that have no effect
                engine = sa.create_engine(parsed, **asked)
            weakref.finalize(self, engine.dispose)
            if engine.dialect.name == "sqlite":
                sa.event.listen(engine, "connect", _tune)
                sa.event.listen(engine, "begin", _begin)
                watch(engine, self.name)
                self._engine, self._writing = engine, engine.execution_options(writes=True)
            else:
                self._engine = engine.execution_options(
                    isolation_level="REPEATABLE READ", postgresql_readonly=True
                )
                self._writing = engine.execution_options(isolation_level="READ COMMITTED")
            with self._engine.begin() as connection:
                there = is_store(connection, self.name)
            if not there:
                self._create()
        except _UNFIT as error:
            told = reason(error)
            if is_damage(told):
                found = examined(url, told)
                raise DamagedStoreError(
                    f"The store {self.name} cannot be opened ({found}). {WAY_OUT}"
                ) from error
            if any(sign in told.lower() for sign in ("full", "i/o error", "no space")):
                raise self._fault(error) from error
            otherwise = "Name another store, or move a damaged file away."
            raise UnfitStoreError(
                f"The store {self.name} cannot be opened ({told}). {way_out(told, otherwise)}"
            ) from error

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Opens a transaction that reads.

        Raises:
            StoreError: if the database fails.
        """
        with self._told(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """Opens a transaction that writes all or nothing.

        Raises:
            StoreError: if the database fails.
        """
        with self._told(), self._writing.begin() as connection:
            yield connection

    @contextmanager
    def writing_alone(self) -> Iterator[sa.Connection]:
        """Opens a transaction that reads before it writes: no other such one runs at a time.

        Raises:
            StoreError: if the database fails.
        """
        with self.writing() as connection:
            wait_alone(connection)
            yield connection

    def _create(self) -> None:
        with self._writing.begin() as connection:
            wait_alone(connection)
            if not is_store(connection, self.name):  # another process may have been faster
                create(connection)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (sa.exc.DBAPIError, sa.exc.TimeoutError) as error:
            raise self._fault(error) from error

    @contextmanager
    def decoding(self) -> Iterator[None]:
        """Turns errors of a block that only decodes cells into the error of a damaged store.

        Raises:
            DamagedStoreError: if a cell does not hold what was written into it.
        """
        try:
            yield
        except (*DECODING, MeasurementError) as error:
            found = examined(self._url, in_a_line(error))
            raise DamagedStoreError(
                f"The store {self.name} was damaged: it holds what no measurement writes ({found})."
                " Move it away, or bring back a copy."
            ) from error

    def _fault(self, error: Exception) -> StoreError:
        told = reason(error)
        if is_damage(told):
            found = examined(self._url, told)
            return DamagedStoreError(f"The store {self.name} failed ({found}). {WAY_OUT}")
        otherwise = "What was kept before is kept; mend it, then run again."
        kind = ReadOnlyStoreError if "readonly" in told else StoreError
        return kind(f"The store {self.name} failed ({told}). {way_out(told, otherwise)}")


def _path_of(url: sa.URL) -> str:
    if url.database in {None, "", ":memory:"} or str(url.database).startswith("file:"):
        raise UnfitStoreError(
            f"The store must be a file that stays, but got {url.render_as_string()!r}. Name a path."
        )
    return str(url.database)


def _inspect(path: str) -> None:
    """Refuses a file through a connection that cannot write to it."""
    try:
        mode = Path(path).stat().st_mode
    except FileNotFoundError:
        folder = Path(path).parent
        if folder.is_dir():
            return
        raise UnfitStoreError(
            f"The store {path!r} cannot be opened: there is no folder {str(folder)!r}. Make it, or "
            "name another file."
        ) from None
    except OSError as error:
        raise UnfitStoreError(
            f"The store {path!r} cannot be opened: {error.strerror}. Name another store."
        ) from None
    if not stat.S_ISREG(mode):
        kind = "folder" if stat.S_ISDIR(mode) else "pipe, a socket or a device"
        raise UnfitStoreError(f"A store must be a file, but {path!r} is a {kind}. Name a file.")
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
                raise sqlite3.DatabaseError("database disk image is malformed")


def _tune(connection: Any, record: Any) -> None:
    """Leaves the beginning of transactions to us, and puts the file into WAL mode."""
    connection.isolation_level = None
    if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        with suppress(sqlite3.OperationalError):  # another process is about to do the same
            connection.execute("PRAGMA journal_mode=WAL")


def _begin(connection: sa.Connection) -> None:
    """Begins a transaction; writers lock at once, since readers that turn writers cannot wait."""
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
