"""Records of latencies that others measured: one stated value in place of rounds."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from tailorbird.errors import UnfitStoreError
from tailorbird.latency_tables.tables.configuration import Configuration
from tailorbird.latency_tables.tables.record import Record, Round, Session
from tailorbird.latency_tables.tables.samples import Samples


@dataclass(frozen=True, slots=True)
class Stated:
    """Latency that one line of a file states.

    Attributes:
        key: of a workload.
        ms: latency of the workload.
        std_ms: standard deviation; None if the file does not state it.
        line: number of the line, the header's is 1.
    """

    key: str
    ms: float
    std_ms: float | None
    line: int

    def __str__(self) -> str:
        spread = "" if self.std_ms is None else f" ± {self.std_ms}"
        return f"{self.ms}{spread} ms"


def record_of(
    stated: Iterable[Stated],
    provenance: Mapping[str, str],
    configuration: Configuration,
    space: str,
) -> Record:
    """Makes a record of stated values, each of another key.

    Equal values of one device have equal uids, so that a store takes them in once.

    Args:
        stated: the values.
        provenance: where they are from.
        configuration: made by `Configuration.imported`.
        space: that they are imported for.
    """
    now = datetime.now(UTC)
    session = _uid(configuration.key, *(f"{k}={v}" for k, v in sorted(provenance.items())))
    rounds = []
    for one in stated:
        of_row = {**provenance, "line": str(one.line)}
        if one.std_ms is not None:
            of_row["std_ms"] = repr(one.std_ms)
        rounds.append(
            Round(
                uid=_uid(configuration.key, one.key, repr(one.ms), repr(one.std_ms)),
                taken=now.isoformat(timespec="microseconds"),
                key=one.key,
                session=session,
                status="imported",
                number=0,
                samples=Samples(np.array([one.ms]), np.array([])),
                reference_ms=None,
                reason=None,
                provenance=of_row,
            )
        )
    sessions = {session: Session(now.isoformat(timespec="seconds"), dict(provenance))}
    return Record(configuration.cpu, space, configuration, sessions, tuple(rounds), {})


def refuse_changes(held: Record, new: Record) -> None:
    """Refuses values that differ from held ones: nobody can tell which of the two is right.

    Raises:
        UnfitStoreError: naming the first.
    """
    known = {one.key: one for one in held.rounds if one.status == "imported"}
    for one in new.rounds:
        twin = known.get(one.key)
        if twin is not None and twin.uid != one.uid:
            raise UnfitStoreError(
                f"{one.key} has {_stated(twin)} in the store, {_stated(one)} in the file: a store "
                "does not change what it holds. Name another store."
            )


def _stated(one: Round) -> Stated:
    assert one.samples is not None  # what is imported has a value
    return Stated(one.key, float(one.samples.ms[0]), one.stated_std_ms, 0)


def _uid(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
