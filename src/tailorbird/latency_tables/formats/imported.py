"""Tables that others measured, as records: one stated value in the place of rounds."""

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
    """What one line of a file says.

    Attributes:
        key: of a workload.
        ms: its latency.
        std_ms: how far measurements of it lay apart; None if the file does not say.
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
    """A record of values that are of distinct keys.

    What says the same of the same device has the same uid, so that a store takes it in once.

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
    """Refuses values other than those that are held: which of the two is right, nobody can tell.

    Raises:
        UnfitStoreError: naming the first.
    """
    known = {one.key: one for one in held.rounds if one.status == "imported"}
    for one in new.rounds:
        there = known.get(one.key)
        if there is not None and there.uid != one.uid:
            raise UnfitStoreError(
                f"{one.key} has {_stated(there)} in the store, {_stated(one)} in the file: a store "
                "does not change what it holds. Name another store."
            )


def _stated(one: Round) -> Stated:
    assert one.samples is not None  # what is imported has a value
    return Stated(one.key, float(one.samples.ms[0]), one.stated_std_ms, 0)


def _uid(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
