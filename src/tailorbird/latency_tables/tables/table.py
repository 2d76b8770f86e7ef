"""Latency table of one configuration, as predictors see it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from tailorbird.errors import MissingWorkloadError, PriceError
from tailorbird.latency_tables.tables import pictures
from tailorbird.latency_tables.tables.configuration import Configuration
from tailorbird.latency_tables.tables.price import (
    LARGEST_RELATIVE_STD,
    LONGEST_MS,
    SHORTEST_MS,
    is_latency,
    is_spread,
)
from tailorbird.notebook import axes, counted, html_table, named
from tailorbird.spaces import FloatArray
from tailorbird.spaces.footprint import Footprint

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

LARGEST_SPREAD = 0.05
"""Largest relative spread that is trusted; quiet, pinned rounds differ by 1.5 to 3.1 %."""

SOUND, LEAST = 0.9, 0.5
"""Shares of trusted rows that a quiet machine gives at least, and below which a table is no use."""

_NUMBERS = ("median_ms", "std_ms", "spread", "hot_ms")
_COLUMNS = ("workload", *_NUMBERS, "n_rounds", "n_samples", "is_trusted", "doubts", "failure")

LARGEST_DRIFT = 1.05
"""Largest time of the reference beside a round, over its floor. A profiler measures a slower round
again; it is accepted, and marked, where the machine never came to rest."""

UNCOMPARED: Mapping[str, str] = MappingProxyType({"outputs": "not compared with torch"})
"""Provenance of programs whose runtime gives no outputs."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Latency of one program, in milliseconds: measured, stated by a file, or predicted.

    Attributes:
        median_ms: median of the medians of the rounds. Not of all samples: a round that does not
            settle takes more of them, and the worst round must not have the most votes.
        iqr_ms: distance between the quartiles of all samples; None where a file stated one value,
            and nothing is known of its samples.
        min_ms: least of all samples.
        n_samples: number of samples of all rounds.
        round_ms: median of each round; rounds lie apart in time, samples of one round do not.
        hot_ms: as `median_ms`, with weights in the cache; None where that was not measured.
        drift: largest time of the interleaved reference beside these rounds, over its floor in
            all sessions; 1.0 is quiet, None is not known.
        stated_std_ms: standard deviation that such a file states; None if it does not. Where the
            latency is predicted: that of the prediction.
        n_neighbours: measured workloads of its op that it was predicted from; None if it was
            measured itself, or stated.
    """

    median_ms: float
    iqr_ms: float | None
    min_ms: float
    n_samples: int
    round_ms: tuple[float, ...]
    hot_ms: float | None = None
    drift: float | None = 1.0
    stated_std_ms: float | None = None
    n_neighbours: int | None = None

    def __post_init__(self) -> None:
        if not is_latency(self.median_ms):
            raise PriceError(
                f"`median_ms` must be finite and positive, {SHORTEST_MS:g} to "
                f"{LONGEST_MS:g}, but got {self.median_ms}."
            )
        if self.stated_std_ms is not None and not is_spread(self.stated_std_ms, self.median_ms):
            raise PriceError(
                f"`stated_std_ms` must be at most {LARGEST_RELATIVE_STD:g} times the latency, but "
                f"got {self.stated_std_ms} of {self.median_ms}."
            )

    def __repr__(self) -> str:
        spread = "spread unknown" if self.spread is None else f"spread {self.spread:.1%}"
        doubts = f", doubts: {'; '.join(self.doubts)}" if self.doubts else ""
        rounds = counted(len(self.round_ms), "round")
        return f"Latency({self.median_ms:.4g} ms, {spread}, {rounds}{doubts})"

    @classmethod
    def of_rounds(
        cls, rounds: Sequence[FloatArray], hot: Sequence[FloatArray] = (), drift: float = 1.0
    ) -> "Latency":
        """Summarises the samples of rounds, an array (n,) for each, and the hot ones likewise.

        Args:
            rounds: at least one, with at least one sample each.
            hot: rounds without samples are passed over.
            drift: largest of these rounds.
        """
        ms = np.concatenate(rounds)
        low, high = np.percentile(ms, [25, 75])
        medians = tuple(float(np.median(r)) for r in rounds)
        hot_medians = [float(np.median(r)) for r in hot if len(r)]
        return cls(
            median_ms=float(np.median(medians)),
            iqr_ms=float(high - low),
            min_ms=float(ms.min()),
            n_samples=len(ms),
            round_ms=medians,
            hot_ms=float(np.median(hot_medians)) if hot_medians else None,
            drift=drift,
        )

    @classmethod
    def stated(cls, ms: float, std_ms: float | None) -> "Latency":
        """Returns the latency for a value that a file stated, with or without a spread."""
        return cls(ms, None, ms, 1, (ms,), drift=None, stated_std_ms=std_ms)

    @classmethod
    def predicted(cls, ms: float, std_ms: float, n_neighbours: int) -> "Latency":
        """Returns the latency of a program that was predicted from measured neighbours."""
        return cls(ms, None, ms, 0, (), None, None, std_ms, n_neighbours)

    @property
    def is_predicted(self) -> bool:
        """True if it was predicted from other programs, never measured."""
        return self.n_neighbours is not None

    @property
    def std_ms(self) -> float:
        """Standard deviation in ms over rounds, or over samples where there was one round only.

        Zero where a file stated none: `spread` is None there, and `doubts` say so.
        """
        if self.iqr_ms is None:
            return self.stated_std_ms or 0.0
        if len(self.round_ms) > 1:
            return float(np.std(self.round_ms, ddof=1))
        return self.iqr_ms / 1.349  # the quartiles of a normal distribution

    @property
    def spread(self) -> float | None:
        """Relative spread, `std_ms / median_ms`; None where it is not known."""
        if self.iqr_ms is None and self.stated_std_ms is None:
            return None
        return self.std_ms / self.median_ms

    @property
    def doubts(self) -> tuple[str, ...]:
        """Reasons to distrust it; empty where nothing speaks against it."""
        if self.is_predicted:
            return (f"predicted from {self.n_neighbours} neighbours, never measured",)
        reasons = []
        is_stated = self.iqr_ms is None
        if self.spread is None:
            reasons.append("imported: spread unknown")
        if not is_stated and len(self.round_ms) < 2:
            reasons.append("one round only")
        if self.spread is not None and self.spread > LARGEST_SPREAD:
            what = "imported: its spread is" if is_stated else "rounds differ by"
            reasons.append(f"{what} {self.spread:.1%}")
        if self.drift is not None and self.drift > LARGEST_DRIFT:
            reasons.append(f"the reference drifted to {self.drift:.2f}x")
        return tuple(reasons)

    @property
    def is_trusted(self) -> bool:
        """True with at least two rounds, a spread within 5 % and a drift within 1.05.

        An imported value has its file's word for it: a stated spread within 5 %. A prediction is
        never trusted.
        """
        return not self.doubts


@dataclass(frozen=True, slots=True, eq=False)
class Covariance:
    """Covariance of the errors of predicted entries, for the errors of their sums.

    Attributes:
        keys: keys of n entries.
        ms2: covariance of their errors, (n, n), in ms^2.
    """

    keys: tuple[str, ...]
    ms2: FloatArray

    def __repr__(self) -> str:
        return f"Covariance({counted(len(self.keys), 'entry', 'entries')})"

    def __post_init__(self) -> None:
        if self.ms2.shape != (len(self.keys),) * 2:
            raise ValueError(
                f"`ms2` must be (n, n) for n keys, but got {self.ms2.shape=}, {len(self.keys)=}."
            )


@dataclass(frozen=True, slots=True)
class LatencyTable:
    """Latency table: latencies of workloads on one device, under one configuration.

    Attributes:
        device: name for messages.
        configuration: under which all entries were measured.
        entries: latency by workload key.
        failures: reason by the key of what could not be measured.
        footprints: weights, activations and arithmetic by key, where they were counted.
        provenance: how the program of each key was compiled and timed.
        covariance: of the errors of predicted entries; None if all were measured.
    """

    device: str
    configuration: Configuration
    entries: Mapping[str, Latency]
    failures: Mapping[str, str]
    footprints: Mapping[str, Footprint] = field(default_factory=dict)
    provenance: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    covariance: Covariance | None = None

    def __repr__(self) -> str:
        device, runtime = named(self.device), named(self.configuration.runtime)
        n = counted(len(self.entries), "workload")
        return f"LatencyTable({device}, {runtime}, {n}, {len(self.failures):,} failed)"

    def _repr_html_(self) -> str:
        return html_table(self.to_pandas(), repr(self))

    def to_pandas(self) -> "pd.DataFrame":
        """A row for each workload: its key, latencies in ms, how far to trust them, and why not.

        Workloads that failed come last, without latencies and with the reason in `failure`.
        """
        import pandas as pd

        rows: list[dict[str, object]] = [
            {
                "workload": key,
                "median_ms": latency.median_ms,
                "std_ms": None if latency.spread is None else latency.std_ms,
                "spread": latency.spread,
                "hot_ms": latency.hot_ms,
                "n_rounds": len(latency.round_ms),
                "n_samples": latency.n_samples,
                "is_trusted": latency.is_trusted,
                "doubts": "; ".join(latency.doubts),
                "failure": "",
            }
            for key, latency in self.entries.items()
        ]
        untimed = {"n_rounds": 0, "n_samples": 0, "is_trusted": False, "doubts": ""}
        rows += [
            {"workload": key, **untimed, "failure": reason} for key, reason in self.failures.items()
        ]
        frame = pd.DataFrame(rows, columns=_COLUMNS)
        return frame.astype(dict.fromkeys(_NUMBERS, np.float64))

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draws the latency of each workload, the fastest first, in a colour for each operator.

        Bars are one standard deviation; workloads that failed have no latency, and are left out.

        Args:
            ax: axes to draw on; new ones if None.
        """
        return pictures.latencies(self.to_pandas(), axes(ax))

    def only(self, keys: Collection[str]) -> "LatencyTable":
        """The table of some programs, as far as it has them."""
        return replace(
            self,
            entries={key: row for key, row in self.entries.items() if key in keys},
            failures={key: reason for key, reason in self.failures.items() if key in keys},
        )

    def select(self, keys: Sequence[str]) -> list[Latency]:
        """Returns latencies in the order of the keys.

        Raises:
            MissingWorkloadError: if any was not measured.
        """
        missing = [key for key in keys if key not in self.entries]
        if missing:
            raise MissingWorkloadError(missing, len(keys), self.device)
        return [self.entries[key] for key in keys]

    @property
    def n_uncompared(self) -> int:
        """Number of rows whose programs' outputs were not compared with torch."""
        known = (self.provenance.get(key, {}) for key in self.entries)
        return sum(UNCOMPARED.items() <= of.items() for of in known)

    @property
    def share_trusted(self) -> float | None:
        """Fraction of the rows that are trusted; None for an empty table."""
        if not self.entries:
            return None
        return float(np.mean([latency.is_trusted for latency in self.entries.values()]))

    @property
    def share_sound(self) -> float | None:
        """Fraction of the rows that are trusted, where failures are rows that are not."""
        n = len(self.entries) + len(self.failures)
        return sum(row.is_trusted for row in self.entries.values()) / n if n else None

    @property
    def is_usable(self) -> bool:
        """True if at least half of the rows are trusted, or there are none."""
        return self.share_sound is None or self.share_sound >= LEAST

    @property
    def verdict(self) -> str:
        """A sentence on what the table is good for; empty if it has no rows."""
        share = self.share_sound
        if share is None:
            return ""
        if share >= SOUND:
            return "Verdict: fit for use."
        again = "`tailorbird table measure-again RECIPE` measures the distrusted rows anew"
        if share >= LEAST:
            return f"Verdict: fit for a first look; on a quiet machine {again}."
        return (
            f"Verdict: not to be used, as {1 - share:.0%} of the rows are not to be trusted; on a "
            f"quiet machine {again}."
        )

    @property
    def median_spread(self) -> float | None:
        """Median of the relative spreads that are known; None if none is."""
        spreads = [row.spread for row in self.entries.values() if row.spread is not None]
        return float(np.median(spreads)) if spreads else None
