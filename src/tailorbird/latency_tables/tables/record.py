"""Raw measurements under one configuration: what stores hold and files carry."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

import numpy as np

from tailorbird.errors import PriceError
from tailorbird.latency_tables.tables import pictures, tries
from tailorbird.latency_tables.tables.configuration import Configuration
from tailorbird.latency_tables.tables.drift import floor
from tailorbird.latency_tables.tables.price import (
    LARGEST_RELATIVE_STD,
    LONGEST_MS,
    SHORTEST_MS,
    is_latency,
    is_spread,
)
from tailorbird.latency_tables.tables.samples import Samples
from tailorbird.latency_tables.tables.table import Latency, LatencyTable
from tailorbird.notebook import axes, counted, html_table, named
from tailorbird.spaces.footprint import Footprint
from tailorbird.storage.databases.connection import stamp

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_CLOCKS_DIFFER = timedelta(hours=1)  # of machines that share a store

Status = Literal["measured", "imported", "discarded", "failed"]


@dataclass(frozen=True, slots=True)
class Session:
    """One start of a profiler.

    Attributes:
        started: UTC, ISO 8601.
        provenance: state of the machine.
    """

    started: str
    provenance: Mapping[str, str]


@dataclass(frozen=True, slots=True, eq=False)
class Round:
    """One try to measure one program, or a latency that others stated.

    Attributes:
        uid: tells it from any other, on any machine.
        taken: UTC, ISO 8601.
        key: key of the program.
        session: uid of the session.
        status: rounds that are `measured` count, and those that are `imported`: one value that a
            file of others stated. `discarded` samples are kept and never used.
        number: of the round; None if it failed.
        samples: in milliseconds; None if it failed.
        reference_ms: the slower run of the reference before and after; None if it failed, or
            others measured.
        reason: why it failed; None if it did not.
        provenance: how the program was compiled and timed, or where a value was stated, with the
            spread, `std_ms`, if that was stated too.

    Raises:
        PriceError: if a latency or its spread cannot be, see `price`.
        ValueError: if anything does not go with the status.
    """

    uid: str
    taken: str
    key: str
    session: str
    status: Status
    number: int | None
    samples: Samples | None
    reference_ms: float | None
    reason: str | None
    provenance: Mapping[str, str]

    def __post_init__(self) -> None:
        if self.status == "failed":
            others = (self.number, self.samples, self.reference_ms)
            if self.reason is None or others != (None,) * 3:
                raise ValueError(
                    "A failure has a reason, but no number, samples or reference, which does not "
                    f"hold for that of {self.key!r}."
                )
            return
        if self.status not in {"measured", "imported", "discarded"}:
            raise ValueError(
                f"`status` must be measured, imported, discarded or failed: {self.status!r}."
            )
        if self.samples is None or self.number is None or self.reason is not None:
            raise ValueError(
                "A round has a number and samples, but no reason, which does not hold for that of "
                f"{self.key!r}."
            )
        is_imported = self.status == "imported"
        if (self.reference_ms is None) != is_imported:
            raise ValueError(
                "A round has a reference, unless others measured it, which does not hold for that "
                f"of {self.key!r}."
            )
        n_samples = len(self.samples.ms), len(self.samples.hot_ms)
        if not n_samples[0]:
            raise ValueError(f"A round must have samples, but that of {self.key!r} has none.")
        if is_imported and n_samples != (1, 0):
            raise ValueError(
                f"What is imported is one value, but there are {sum(n_samples)} for {self.key!r}."
            )
        for name, values in (
            ("ms", self.samples.ms),
            ("hot_ms", self.samples.hot_ms),
            ("reference_ms", np.array([] if is_imported else [self.reference_ms])),
        ):
            if not all(map(is_latency, values.tolist())):
                wrong = next(ms for ms in values.tolist() if not is_latency(ms))
                raise PriceError(
                    f"`{name}` must be finite and positive, {SHORTEST_MS:g} to "
                    f"{LONGEST_MS:g}, but got {wrong} for {self.key!r}."
                )
        std_ms = self.stated_std_ms
        if std_ms is not None and not is_spread(std_ms, float(self.samples.ms[0])):
            raise PriceError(
                f"`std_ms` must be finite, not negative, and at most {LARGEST_RELATIVE_STD:g} "
                f"times the latency, but got {std_ms} for {self.key!r}."
            )

    def __repr__(self) -> str:
        what = f"{self.status} {self.number}" if self.samples else "failed"
        return f"Round({what} of {named(self.key)}, {self.samples or named(str(self.reason))})"

    @property
    def median_ms(self) -> float | None:
        """Median of its samples in ms; None if it failed."""
        return float(np.median(self.samples.ms)) if self.samples else None

    @property
    def stated_std_ms(self) -> float | None:
        """Standard deviation in ms that a file states of its value; None if it does not."""
        if self.status != "imported" or "std_ms" not in self.provenance:
            return None
        text = self.provenance["std_ms"]
        try:
            return float(text)
        except ValueError:
            raise PriceError(f"`std_ms` must be a number, but is {text!r}.") from None


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """Every try under one configuration.

    Attributes:
        device: name for messages.
        space: name, with settings, of the space that it was measured for.
        configuration: that all tries were made under.
        sessions: by uid.
        rounds: in the order of the store, which clocks have no part in.
        footprints: by key, where they were counted.
        imported: uids of the sessions that a store took from a file.
    """

    device: str
    space: str
    configuration: Configuration
    sessions: Mapping[str, Session]
    rounds: tuple[Round, ...]
    footprints: Mapping[str, Footprint]
    imported: frozenset[str] = frozenset()

    def __repr__(self) -> str:
        n, rounds = (
            counted(len(self.accepted), "program"),
            counted(len(self.rounds), "try", "tries"),
        )
        return f"Record({named(self.device)}, {named(self.space)}, {n}, {rounds})"

    def _repr_html_(self) -> str:
        return html_table(self.to_pandas(), repr(self))

    def to_pandas(self) -> "pd.DataFrame":
        """A row for each try, in their order: program, status, round, median of its samples in ms.

        Beside these the number of samples, the reference in ms, the time (UTC), the session, and
        the reason of a failure. Samples themselves are in the files that `table export` writes.
        """
        import pandas as pd

        return pd.DataFrame(
            {
                "workload": [one.key for one in self.rounds],
                "status": [one.status for one in self.rounds],
                "round": pd.array([one.number for one in self.rounds], dtype="Int64"),
                "median_ms": np.array([one.median_ms for one in self.rounds], dtype=np.float64),
                "n_samples": [len(one.samples.ms) if one.samples else 0 for one in self.rounds],
                "reference_ms": np.array([one.reference_ms for one in self.rounds], np.float64),
                "taken": [one.taken for one in self.rounds],
                "session": [one.session for one in self.rounds],
                "failure": [one.reason or "" for one in self.rounds],
            }
        )

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draws the latency of each round, over the median of its program, in their order.

        So drift and disturbance show across programs. Failures have no latency, and are left out.

        Args:
            ax: axes to draw on; new ones if None.
        """
        return pictures.rounds(self.to_pandas(), axes(ax))

    @property
    def accepted(self) -> dict[str, list[Round]]:
        """The rounds that count, by key, in their order, see `tries.accepted`."""
        return tries.accepted(self.rounds, self.imported)

    def floor_ms(self, *, is_imported: bool) -> float:
        """Milliseconds of the reference on the quiet machine, here or where files are from."""
        of = (one for one in self.rounds if (one.session in self.imported) == is_imported)
        return floor([one.reference_ms for one in of if one.reference_ms])

    def table(self, rounds: int) -> LatencyTable:
        """Returns the table of programs with this many rounds since they last failed.

        Programs that failed at their last try are its failures.
        """
        deciding = tries.deciding(self.rounds, self.imported)
        taken, tried = self.accepted, {one.key: one for one in deciding}
        floors_ms = [self.floor_ms(is_imported=is_imported) for is_imported in (False, True)]
        return LatencyTable(
            self.device,
            self.configuration,
            entries={
                key: _latency(of, floors_ms[of[0].session in self.imported])
                for key, of in taken.items()
                if len(of) >= rounds
            },
            failures={k: str(one.reason) for k, one in tried.items() if one.status == "failed"},
            footprints=self.footprints,
            provenance={key: of[-1].provenance for key, of in taken.items()},
        )

    def stamped_ahead(self, now: datetime) -> dict[str, str]:
        """Returns stamps that are later than now, as a clock was ahead; the latest by key.

        Args:
            now: in UTC.
        """
        latest = stamp(now + _CLOCKS_DIFFER)
        return {
            one.key: one.taken
            for one in sorted(self.rounds, key=lambda one: one.taken)
            if one.taken > latest and one.status != "discarded"
        }

    @property
    def provenance(self) -> dict[str, str]:
        """Date and state of the machine when it was last measured; empty if it never was.

        For what others measured: when it was imported, and where from.
        """
        for one in reversed(self.rounds):
            if one.status in ("measured", "imported"):
                session = self.sessions[one.session]
                return {one.status: session.started, **session.provenance}
        return {}


def _latency(rounds: list[Round], floor_ms: float) -> Latency:
    samples = [one.samples for one in rounds if one.samples is not None]
    if rounds[-1].status == "imported":
        return Latency.stated(float(samples[-1].ms[0]), rounds[-1].stated_std_ms)
    slowest_ms = max(one.reference_ms for one in rounds if one.reference_ms is not None)
    return Latency.of_rounds(
        [s.ms for s in samples], [s.hot_ms for s in samples], slowest_ms / floor_ms
    )
