"""Connections to databases, ours and Optuna's: patience, an exclusive lock, a common clock."""

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from tailorbird.errors import UnfitStoreError

PATIENCE_S = 30.0
"""Seconds to wait for another writer."""

_SILENCE_S = 10
"""Seconds to wait for a server that does not answer, or that no longer does."""

_IDLE_S = 15
"""Seconds after which a server ends the transaction of a machine that froze: others go on."""

_OURS = int.from_bytes(b"tailor")
"""Number of the advisory lock that tailorbird takes in a PostgreSQL database."""


def options(url: sa.URL) -> dict[str, Any]:
    """Returns arguments of `create_engine` besides the URL, whose own options go first.

    Raises:
        UnfitStoreError: if it is of another kind of database.
    """
    kind = url.get_backend_name()
    if kind == "sqlite":
        return {"connect_args": {"timeout": PATIENCE_S}}
    if kind != "postgresql":
        raise UnfitStoreError(
            f"A store cannot be opened in another database than SQLite or PostgreSQL, but got "
            f"{kind!r}. Name a file, or postgresql+psycopg://user:password@host:port/database."
        )
    if "@" in (url.host or ""):
        raise UnfitStoreError(
            "The store cannot be opened: its URL has two @. Write %40 for one in a password."
        )
    limits = f"-c lock_timeout={PATIENCE_S:g}s -c idle_in_transaction_session_timeout={_IDLE_S}s"
    asked = {
        "client_encoding": "utf8",  # a server made under the locale C would give bytes
        "connect_timeout": _SILENCE_S,
        "keepalives_idle": _SILENCE_S,
        "keepalives_interval": _SILENCE_S,
        "keepalives_count": 3,
        "tcp_user_timeout": 1000 * 3 * _SILENCE_S,
        "application_name": "tailorbird",
    }
    asked = {name: value for name, value in asked.items() if name not in url.query}
    theirs = url.query.get("options", ())
    said = [limits, *([theirs] if isinstance(theirs, str) else theirs)]  # the last one counts
    # What the server or a firewall cut off while programs compiled is noticed before it is used.
    return {"connect_args": asked | {"options": " ".join(said)}, "pool_pre_ping": True}


def wait_alone(connection: sa.Connection) -> None:
    """Takes the lock of a database until the transaction ends: one such transaction at a time.

    Writers of an SQLite file stand in a queue anyway.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_OURS)))


def clock(connection: sa.Connection) -> datetime:
    """Returns the time that all who share a database go by: that of its server, if it has one.

    Boards without a battery for theirs start in the past; leases must not depend on that.
    """
    if connection.dialect.name != "postgresql":
        return datetime.now(UTC)
    now_s = connection.scalar(sa.text("SELECT extract(epoch FROM clock_timestamp())"))
    assert now_s is not None
    return datetime.fromtimestamp(float(now_s), UTC)


def stamp(moment: datetime) -> str:
    """Writes a moment of UTC in a fixed width, so that texts sort by time."""
    return moment.isoformat(timespec="microseconds")
