"""Schema of a store, and the check whether a database is one."""

import sqlalchemy as sa

from tailorbird.errors import UnfitStoreError

VERSION = 2
"""Raise it when a table changes; stores of other versions are refused, not converted."""

METADATA = sa.MetaData()

MADE_BY = sa.Table("version", METADATA, sa.Column("schema", sa.Integer, nullable=False))

SESSION = sa.Table(
    "session",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("uid", sa.String, nullable=False, unique=True),
    sa.Column("started", sa.String, nullable=False),
    sa.Column("provenance", sa.JSON, nullable=False),
)

# A row is one try: a round with all its samples, so that none is ever half there, or a failure.
SAMPLE = sa.Table(
    "sample",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("uid", sa.String, nullable=False, unique=True),
    sa.Column("taken", sa.String, nullable=False),
    sa.Column("key", sa.String, nullable=False),
    sa.Column("configuration", sa.String, nullable=False),
    sa.Column("session", sa.ForeignKey("session.id"), nullable=False),
    sa.Column("round", sa.Integer),
    sa.Column("ms", sa.JSON(none_as_null=True)),
    sa.Column("hot_ms", sa.JSON(none_as_null=True)),
    sa.Column(
        "status",
        sa.Enum("measured", "imported", "discarded", "failed", name="status", native_enum=False),
        nullable=False,
    ),
    sa.Column("reason", sa.String),
    sa.Column("reference_ms", sa.Float),
    sa.Column("provenance", sa.JSON, nullable=False),
    sa.Index("sample_of", "configuration", "key"),
)

CLAIM = sa.Table(
    "claim",
    METADATA,
    sa.Column("key", sa.String, primary_key=True),
    sa.Column("configuration", sa.String, primary_key=True),
    sa.Column("owner", sa.String, nullable=False),
    sa.Column("lease_until", sa.String, nullable=False),
)

FOOTPRINT = sa.Table(
    "footprint",
    METADATA,
    sa.Column("key", sa.String, primary_key=True),
    *(
        sa.Column(name, sa.BigInteger, nullable=False)
        for name in ("n_macs", "n_params", "weight_bytes", "peak_activation_bytes")
    ),
)


def create(connection: sa.Connection) -> None:
    """Makes the tables of a store of this version."""
    METADATA.create_all(connection)
    connection.execute(sa.insert(MADE_BY).values(schema=VERSION))


_FIRST = {"id", "key", "configuration", "session", "round", "ms", "status", "reason"}


def is_store(connection: sa.Connection, name: str) -> bool:
    """True if a database holds a store of this version; False if it is empty.

    Args:
        connection: is only read.
        name: of the database, for messages.

    Raises:
        UnfitStoreError: if it holds anything else.
    """
    tables = sa.inspect(connection).get_multi_columns()  # in one query, where there is a server
    columns_of = {table: {column["name"] for column in of} for (_, table), of in tables.items()}
    if not columns_of:
        return False
    made_by = 0
    if columns_of.get("version") == {"schema"}:
        made_by = connection.execute(sa.select(MADE_BY.c.schema)).scalar_one_or_none() or 0
    elif "version" not in columns_of and columns_of.get("sample") == _FIRST:
        made_by = 1
    if made_by > VERSION:
        raise UnfitStoreError(
            f"The store {name!r} was made by a newer tailorbird (schema {made_by}; this one reads "
            f"{VERSION}). Update tailorbird, or name another store."
        )
    if 0 < made_by < VERSION:
        raise UnfitStoreError(
            f"The store {name!r} was made by an older tailorbird (schema {made_by}; this one reads "
            f"{VERSION}). Move it away: what it holds is measured anew, in another way."
        )
    ours = {table.name: set(table.columns.keys()) for table in METADATA.sorted_tables}
    if not made_by or not all(columns_of.get(table) == columns for table, columns in ours.items()):
        raise UnfitStoreError(
            f"The database {name!r} belongs to another program, or was damaged (it holds "
            f"{', '.join(map(repr, sorted(columns_of)))}). Name another store."
        )
    return True
