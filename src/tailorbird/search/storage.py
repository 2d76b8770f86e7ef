"""Optuna's storage in any database that a store may be in, beside the tables of the store."""

import weakref
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from optuna.storages import RDBStorage

from tailorbird.latency_tables.connection import options, wait_alone
from tailorbird.storage.presence import watch


def existing(url: str) -> RDBStorage:
    """Of studies that are there; nothing is made, and an empty database fails when it is read."""
    asked = options(sa.make_url(url)) | {"poolclass": sa.NullPool}
    return RDBStorage(_literal(url), asked, skip_table_creation=True)


@contextmanager
def made_alone(url: str) -> Iterator[RDBStorage]:
    """Makes what is missing, while no other process does; Optuna's would fail in each other's way.

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
    """Optuna takes braces for its own."""
    return url.replace("{", "{{").replace("}", "}}")


def _closing(storage: RDBStorage) -> RDBStorage:
    """Closes its connections when it is no longer used, which Optuna leaves to chance."""
    weakref.finalize(storage, storage.engine.dispose)
    return storage
