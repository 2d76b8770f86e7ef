"""Store of measurements: a database to which rounds and failures are added, and none removed."""

import uuid
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import sqlalchemy as sa

from tailorbird.latency_tables.formats.imported import refuse_changes
from tailorbird.latency_tables.store import claims, record_sql
from tailorbird.latency_tables.store.database import Database
from tailorbird.latency_tables.store.schema import SESSION
from tailorbird.latency_tables.tables import tries
from tailorbird.latency_tables.tables.configuration import Configuration
from tailorbird.latency_tables.tables.price import refuse_dear_call
from tailorbird.latency_tables.tables.record import Record, Round, Status
from tailorbird.latency_tables.tables.samples import Samples
from tailorbird.latency_tables.tables.table import LatencyTable
from tailorbird.spaces.footprint import Footprint
from tailorbird.storage.databases.connection import clock, stamp


class Store:
    """Database of rounds, failures and leases of programs; each call is one transaction.

    Every method raises `StoreError` if the database fails, with nothing half-written.

    Args:
        url: of the database, for SQLAlchemy.

    Raises:
        UnfitStoreError: if it cannot be opened, or is no store of this version.
    """

    def __init__(self, url: str) -> None:
        self._database = Database(url)

    def begin(self, provenance: dict[str, str]) -> int:
        """Begins a session; returns its number, which goes with every row of a profiler."""
        with self._database.writing() as connection:
            started = clock(connection).isoformat(timespec="seconds")
            insert = sa.insert(SESSION).values(
                uid=uuid.uuid4().hex, started=started, provenance=provenance
            )
            return int(connection.execute(insert.returning(SESSION.c.id)).scalar_one())

    def add(
        self,
        key: str,
        configuration: Configuration,
        session: int,
        round_: int,
        samples: Samples,
        reference_ms: float,
        provenance: dict[str, str],
    ) -> None:
        """Keeps an accepted round.

        Args:
            key: of the program.
            configuration: that it was measured under.
            session: from `begin`.
            round_: number of the round.
            samples: all of them, or none if anything goes wrong.
            reference_ms: the slower run of the reference before and after.
            provenance: how the program was compiled and timed.

        Raises:
            ValueError: if a time is not finite and positive.
        """
        self._insert(
            "measured",
            key,
            configuration,
            session,
            round_,
            samples,
            reference_ms,
            provenance=provenance,
        )

    def discard(
        self,
        key: str,
        configuration: Configuration,
        session: int,
        round_: int,
        samples: Samples,
        reference_ms: float,
    ) -> None:
        """Keeps a round that is never used; arguments and errors are those of `add`."""
        self._insert("discarded", key, configuration, session, round_, samples, reference_ms)

    def fail(self, key: str, configuration: Configuration, session: int, reason: str) -> None:
        """Keeps why a program could not be measured, which voids its earlier rounds."""
        self._insert("failed", key, configuration, session, reason=_storable(reason))

    def references(self, configuration: Configuration) -> list[float]:
        """Milliseconds of the reference beside each round here, discarded ones too, in order."""
        with self._database.reading() as connection, self._database.decoding():
            return record_sql.references(connection, configuration)

    def taken(
        self, configuration: Configuration, rounds: int, keys: Sequence[str] | None = None
    ) -> dict[str, list[int | None]]:
        """Numbers of the rounds that a profiler which wants so many can go on from, by key.

        Samples are not read, so that many programs take little time.

        Args:
            configuration: that they were taken under.
            rounds: that each program shall have.
            keys: of the programs; all that there are if None.
        """
        with self._database.reading() as connection, self._database.decoding():
            found, imported = record_sql.tries(connection, configuration, keys)
        counting = tries.taken(found, imported, rounds)
        return {key: [one.number for one in of] for key, of in counting.items()}

    def failed(self, configuration: Configuration) -> set[str]:
        """Keys of programs that failed at their last try."""
        with self._database.reading() as connection, self._database.decoding():
            found, imported = record_sql.tries(connection, configuration)
        last = {one.key: one.status for one in tries.deciding(found, imported)}
        return {key for key, status in last.items() if status == "failed"}

    def claim(
        self, keys: Sequence[str], configuration: Configuration, owner: str, lease_s: float
    ) -> set[str]:
        """Leases those of the keys that nobody else holds; returns what the owner now holds.

        A lease ends by itself, so what a killed profiler held is free after `lease_s` seconds, by
        the clock of the server if there is one.
        """
        with self._database.writing() as connection:
            return claims.take(connection, keys, configuration.key, owner, lease_s)

    def renew(
        self, keys: Sequence[str], configuration: Configuration, owner: str, lease_s: float
    ) -> set[str]:
        """Renews the leases on keys that nobody else took meanwhile; returns those keys."""
        with self._database.writing() as connection:
            return claims.renew(connection, keys, configuration.key, owner, lease_s)

    def release(self, keys: Sequence[str], configuration: Configuration, owner: str) -> None:
        """Ends the owner's leases on these keys."""
        with self._database.writing() as connection:
            claims.free(connection, keys, configuration.key, owner)

    def keep_footprint(self, key: str, footprint: Footprint) -> None:
        """Keeps the costs of a program, which hold on every device; the last ones stand."""
        with self._database.writing() as connection:
            record_sql.keep_footprint(connection, key, footprint)

    def table(self, configuration: Configuration, device: str, rounds: int) -> LatencyTable:
        """Returns the latency table of programs with this many rounds that did not fail last."""
        return self.record(configuration, device).table(rounds)

    def record(self, configuration: Configuration, device: str = "", space: str = "") -> Record:
        """Returns all that was kept under a configuration; names are for messages and files."""
        with self._database.reading() as connection, self._database.decoding():
            return record_sql.read(connection, configuration, device, space)

    def take_in(self, record: Record) -> int:
        """Adds what is new in a record; returns how many rounds and failures that is.

        What was tried here decides alone, see `tries.deciding`; nor does a file void what came
        from another before.

        Raises:
            UnfitStoreError: if it states another value than one that was imported before, or calls
                something by a uid that is there.
            PriceError: if the empty program would cost more than others that contain it.
        """
        configuration = record.configuration
        with self._database.writing_alone() as connection:
            with self._database.decoding():
                held = record_sql.read(connection, configuration, record.device, record.space)
            if configuration.is_imported:
                refuse_changes(held, record)
            n_new = record_sql.merge(connection, record, held)
            together = record_sql.read(
                connection, configuration, record.device, record.space
            ).table(1)
            ms = {key: latency.median_ms for key, latency in together.entries.items()}
            refuse_dear_call(ms, record.device, configuration.is_imported)
            return n_new

    def _insert(
        self,
        status: Status,
        key: str,
        configuration: Configuration,
        session: int,
        round_: int | None = None,
        samples: Samples | None = None,
        reference_ms: float | None = None,
        *,
        reason: str | None = None,
        provenance: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Adds one try under a new uid, at the time of the database."""
        with self._database.writing() as connection:
            uid, taken = uuid.uuid4().hex, stamp(clock(connection))
            one = Round(
                uid, taken, key, "", status, round_, samples, reference_ms, reason, provenance
            )
            record_sql.insert(connection, one, configuration, session)


def _storable(reason: str) -> str:
    """Escapes what a database takes for no text: a dying program may say anything."""
    return reason.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")
