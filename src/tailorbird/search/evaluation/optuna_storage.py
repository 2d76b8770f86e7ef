"""Optuna's storage in any database that a store may be in, beside the tables of the store."""

import sqlite3
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from optuna.storages import RDBStorage

from tailorbird.storage.databases.connection import PATIENCE_S, options, wait_alone
from tailorbird.storage.databases.presence import watch


def existing(url: str) -> RDBStorage:
    """Storage of studies that are there, to be read; an empty database fails when it is read."""
    return RDBStorage(_literal(url), _reading(sa.make_url(url)), skip_table_creation=True)


def existing_engine(url: str) -> sa.Engine:
    """Connections to a database that is there; an SQLite file cannot be written through them."""
    parsed = sa.make_url(url)
    return sa.create_engine(parsed, **_reading(parsed))


def _reading(url: sa.URL) -> dict[str, Any]:
    """Arguments of `create_engine` for a database that is only read."""
    if url.get_backend_name() != "sqlite":
        return options(url) | {"poolclass": sa.NullPool}
    file = f"{Path(url.database or '').absolute().as_uri()}?mode=ro"
    return {
        "creator": lambda: sqlite3.connect(file, uri=True, timeout=PATIENCE_S),
        "poolclass": sa.NullPool,
    }


@contextmanager
def made_alone(url: str) -> Iterator[RDBStorage]:
    """Makes missing tables while no other process does, since of two at once one would fail.

    SQLite's writers stand in a queue anyway.
    """
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "sqlite":
        storage = _closing(RDBStorage(_literal(url), options(parsed)))
        watch(storage.engine, str(parsed.database))
        yield storage
        return
    engine = sa.create_engine(parsed, **options(parsed), poolclass=sa.NullPool)
    with engine.begin() as connection:
        wait_alone(connection)
        yield _closing(RDBStorage(_literal(url), options(parsed)))


def _literal(url: str) -> str:
    """URL as Optuna takes it, which formats what stands in braces."""
    return url.replace("{", "{{").replace("}", "}}")


def _closing(storage: RDBStorage) -> RDBStorage:
    """Storage whose connections close when it is no longer used; Optuna leaves that to chance."""
    weakref.finalize(storage, storage.engine.dispose)
    return storage
