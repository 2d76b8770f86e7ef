"""Where measurements are kept: a database that only grows."""

import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import numpy as np
import sqlalchemy as sa

from tailorbird.errors import RecipeError
from tailorbird.latency_tables.device import Configuration
from tailorbird.latency_tables.runtime import Samples
from tailorbird.latency_tables.table import FloatArray, Latency, LatencyTable
from tailorbird.spaces.footprint import Footprint

_METADATA = sa.MetaData()

_SESSION = sa.Table(
    "session",
    _METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("started", sa.String, nullable=False),
    sa.Column("provenance", sa.JSON, nullable=False),
)

_SAMPLE = sa.Table(
    "sample",
    _METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("key", sa.String, nullable=False),
    sa.Column("configuration", sa.String, nullable=False),
    sa.Column("session", sa.ForeignKey("session.id"), nullable=False),
    sa.Column("round", sa.Integer),
    sa.Column("ms", sa.Float),
    sa.Column("status", sa.Enum("measured", "discarded", "failed", name="status"), nullable=False),
    sa.Column("reason", sa.String),
    sa.Column("drift", sa.Float),
    sa.Column("provenance", sa.JSON),
    sa.Index("sample_of", "configuration", "key"),
)

_CLAIM = sa.Table(
    "claim",
    _METADATA,
    sa.Column("key", sa.String, primary_key=True),
    sa.Column("configuration", sa.String, primary_key=True),
    sa.Column("owner", sa.String, nullable=False),
    sa.Column("lease_until", sa.Float, nullable=False),
)

_FOOTPRINT = sa.Table(
    "footprint",
    _METADATA,
    sa.Column("key", sa.String, primary_key=True),
    sa.Column("counts", sa.JSON, nullable=False),
)


class Store:
    """Samples and failures, insert-only; each round is one transaction.

    Args:
        url: of the database, for SQLAlchemy.

    Raises:
        RecipeError: if it cannot be opened.
    """

    def __init__(self, url: str) -> None:
        try:
            self._engine = sa.create_engine(url)
            if self._engine.dialect.name == "sqlite":
                sa.event.listen(self._engine, "connect", _tune_sqlite)
            _METADATA.create_all(self._engine)
            with self._engine.connect() as connection:
                for table in _METADATA.sorted_tables:  # another program's table would fail here
                    connection.execute(sa.select(table).limit(1))
        except (sa.exc.SQLAlchemyError, ImportError, ValueError) as error:
            reason = str(getattr(error, "orig", None) or error).splitlines()[0]
            raise RecipeError(
                f"The store in [latency] cannot be opened ({reason}). "
                "Name another, or move a damaged file away."
            ) from error

    def begin(self, provenance: dict[str, str]) -> int:
        """A new session; its number goes with every row that it writes."""
        started = datetime.now(UTC).isoformat(timespec="seconds")
        insert = sa.insert(_SESSION).values(started=started, provenance=provenance)
        with self._engine.begin() as connection:
            return int(connection.execute(insert.returning(_SESSION.c.id)).scalar_one())

    def add(
        self,
        key: str,
        configuration: Configuration,
        session: int,
        round_: int,
        samples: Samples,
        drift: float,
        provenance: dict[str, str],
    ) -> None:
        """Keeps the samples of one round, all of them or none."""
        same = {"key": key, "configuration": configuration.key, "session": session}
        same |= {"round": round_, "drift": drift, "provenance": provenance, "status": "measured"}
        with self._engine.begin() as connection:
            connection.execute(sa.insert(_SAMPLE), [{**same, "ms": float(v)} for v in samples.ms])

    def discard(
        self,
        key: str,
        configuration: Configuration,
        session: int,
        round_: int,
        samples: Samples,
        drift: float,
    ) -> None:
        """Keeps samples that are never used."""
        same = {"key": key, "configuration": configuration.key, "session": session}
        same |= {"round": round_, "drift": drift, "status": "discarded"}
        with self._engine.begin() as connection:
            connection.execute(sa.insert(_SAMPLE), [{**same, "ms": float(v)} for v in samples.ms])

    def claim(
        self, keys: Sequence[str], configuration: Configuration, owner: str, lease_s: float
    ) -> set[str]:
        """Takes or renews what is free, expired or the owner's."""
        now = time.time()
        with self._engine.begin() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            mine = set()
            for key in keys:
                at = (_CLAIM.c.key == key) & (_CLAIM.c.configuration == configuration.key)
                row = connection.execute(sa.select(_CLAIM).where(at)).one_or_none()
                if row is None or row.owner == owner or row.lease_until < now:
                    connection.execute(sa.delete(_CLAIM).where(at))
                    connection.execute(
                        sa.insert(_CLAIM).values(
                            key=key,
                            configuration=configuration.key,
                            owner=owner,
                            lease_until=now + lease_s,
                        )
                    )
                    mine.add(key)
        return mine

    def release(self, keys: Sequence[str], configuration: Configuration, owner: str) -> None:
        """Gives up claims."""
        at = (_CLAIM.c.configuration == configuration.key) & (_CLAIM.c.owner == owner)
        with self._engine.begin() as connection:
            connection.execute(sa.delete(_CLAIM).where(at & _CLAIM.c.key.in_(keys)))

    def keep_footprint(self, key: str, footprint: Footprint) -> None:
        """Keeps what a program costs on every device alike."""
        with self._engine.begin() as connection:
            connection.execute(sa.delete(_FOOTPRINT).where(_FOOTPRINT.c.key == key))
            connection.execute(sa.insert(_FOOTPRINT).values(key=key, counts=asdict(footprint)))

    def fail(self, key: str, configuration: Configuration, session: int, reason: str) -> None:
        """Keeps why something could not be measured."""
        same = {"key": key, "configuration": configuration.key, "session": session}
        with self._engine.begin() as connection:
            connection.execute(sa.insert(_SAMPLE).values(**same, status="failed", reason=reason))

    def rounds(self, configuration: Configuration) -> dict[str, list[FloatArray]]:
        """Samples of each round by key, oldest round first."""
        rounds: dict[str, dict[tuple[int, int], list[float]]] = {}
        for row in self._rows(configuration):
            if row.status == "failed":
                rounds.pop(row.key, None)
            if row.status == "measured":
                of_key = rounds.setdefault(row.key, {})
                of_key.setdefault((row.session, row.round), []).append(row.ms)
        return {key: [np.array(ms) for ms in of_key.values()] for key, of_key in rounds.items()}

    def table(self, configuration: Configuration, device: str, rounds: int) -> LatencyTable:
        """What predictors see: what has this many rounds, and did not fail at its last try."""
        last = {row.key: row for row in self._rows(configuration)}
        failures = {key: str(row.reason) for key, row in last.items() if row.status == "failed"}
        entries = {
            key: Latency.of_rounds(taken)
            for key, taken in self.rounds(configuration).items()
            if len(taken) >= rounds and key not in failures
        }
        return LatencyTable(device, configuration, entries, failures)

    def provenance(self, configuration: Configuration) -> dict[str, str]:
        """Date and state of the machine when a configuration was last measured; empty if never."""
        query = (
            sa.select(_SESSION)
            .join(_SAMPLE)
            .where(_SAMPLE.c.configuration == configuration.key)
            .order_by(_SESSION.c.id.desc())
            .limit(1)
        )
        with self._engine.connect() as connection:
            last = connection.execute(query).one_or_none()
        return {"measured": last.started, **last.provenance} if last is not None else {}

    def _rows(self, configuration: Configuration) -> Sequence[Any]:
        query = sa.select(_SAMPLE).where(_SAMPLE.c.configuration == configuration.key)
        with self._engine.connect() as connection:
            return connection.execute(query.order_by(_SAMPLE.c.id)).all()


def _tune_sqlite(connection: Any, record: Any) -> None:
    """Readers beside one writer, and a patient wait for the other writer."""
    connection.execute("PRAGMA busy_timeout=30000")
    connection.execute("PRAGMA journal_mode=WAL")
