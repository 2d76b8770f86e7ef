"""Leases on keys of programs, by which several profilers share the work on one table."""

from collections.abc import Sequence
from datetime import timedelta

import sqlalchemy as sa

from tailorbird.latency_tables.store.schema import CLAIM
from tailorbird.storage.databases.connection import clock, stamp

_LONGEST_LEASES = 10  # times our lease: nobody's is longer than that

# One statement decides, so that two profilers never both get a key. A lease that ends later than
# any could is of a time when the clock was ahead.
_TAKE = sa.text(
    "INSERT INTO claim (key, configuration, owner, lease_until) "
    "VALUES (:key, :configuration, :owner, :lease_until) "
    "ON CONFLICT (key, configuration) DO UPDATE "
    "SET owner = excluded.owner, lease_until = excluded.lease_until "
    "WHERE claim.owner = excluded.owner OR claim.lease_until <= :now OR claim.lease_until > :latest"
)

_RENEW = sa.text(
    "UPDATE claim SET lease_until = :lease_until "
    "WHERE key = :key AND configuration = :configuration AND owner = :owner"
)


def take(
    connection: sa.Connection, keys: Sequence[str], configuration: str, owner: str, lease_s: float
) -> set[str]:
    """Leases those keys that are free, expired or the owner's; returns what the owner now holds."""
    return _lease(connection, _TAKE, keys, configuration, owner, lease_s)


def renew(
    connection: sa.Connection, keys: Sequence[str], configuration: str, owner: str, lease_s: float
) -> set[str]:
    """Renews the owner's leases on keys that nobody else took meanwhile; returns those keys.

    A key that another owner took and gave back is not leased again: it may have rounds by then.
    """
    return _lease(connection, _RENEW, keys, configuration, owner, lease_s)


def _lease(
    connection: sa.Connection,
    statement: sa.TextClause,
    keys: Sequence[str],
    configuration: str,
    owner: str,
    lease_s: float,
) -> set[str]:
    now = clock(connection)
    lease_until = stamp(now + timedelta(seconds=lease_s))
    same = {"configuration": configuration, "owner": owner, "lease_until": lease_until}
    # In one order everywhere: servers that lock rows one by one would deadlock otherwise.
    ends = {"now": stamp(now), "latest": stamp(now + timedelta(seconds=_LONGEST_LEASES * lease_s))}
    rows = [{"key": key, **ends, **same} for key in sorted(set(keys))]
    if rows:
        connection.execute(statement, rows)
    leased = sa.select(CLAIM.c.key).where(
        CLAIM.c.configuration == configuration,
        CLAIM.c.owner == owner,
        CLAIM.c.lease_until == lease_until,
    )
    return set(keys) & set(connection.scalars(leased))


def free(connection: sa.Connection, keys: Sequence[str], configuration: str, owner: str) -> None:
    """Ends the owner's leases on these keys."""
    delete = sa.delete(CLAIM).where(
        CLAIM.c.key == sa.bindparam("freed"),
        CLAIM.c.configuration == configuration,
        CLAIM.c.owner == owner,
    )
    if keys:
        connection.execute(delete, [{"freed": key} for key in sorted(set(keys))])
