"""Table of a page: the networks of a front, a row each."""

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from tailorbird.reports.measures import Measure
from tailorbird.reports.wording import plain, with_error

_FIXED = (
    *("accuracy_test", "accuracy_validation", "accuracy_predicted"),
    *("latency_ms_measured", "latency_ms_predicted"),
)
"""Columns of measures that stand in the table anyway."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of figures.

    Attributes:
        title: with unit.
        text: of a row.
        is_text: true if it is aligned as texts are.
    """

    title: str
    text: "Callable[[pd.Series[float]], str]"
    is_text: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """A network.

    Attributes:
        name: its text.
        is_best: true if no other network of the front beats it.
        cells: one for each column.
    """

    name: str
    is_best: bool
    cells: tuple[str, ...]


def columns_of(front: pd.DataFrame, measures: tuple[Measure, ...]) -> list[Column]:
    """Columns that a front has: what was measured first, then what was predicted.

    What is known of no network has none.
    """
    columns = [
        ("accuracy_test", _figure("test, %", "accuracy_test", "accuracy_test_std", 100)),
        ("latency_ms_measured", _MEASURED),
        *((m.column, _of(m)) for m in measures if m.column not in _FIXED),
        (
            "accuracy_validation",
            _figure("validation, %", "accuracy_validation", "accuracy_validation_std", 100),
        ),
        ("accuracy_predicted", _figure("predicted, %", "accuracy_predicted", "accuracy_std", 100)),
        ("latency_ms_predicted", _PREDICTED),
        ("n_macs", _figure("MACs, million", "n_macs", "", 1e-6)),
        ("n_params", _figure("parameters, million", "n_params", "", 1e-6)),
    ]
    known = [column for name, column in columns if front[name].notna().any()]
    known.append(Column("kind", lambda row: str(row["kind"]), is_text=True))
    if front["space"].nunique() > 1:
        known.append(Column("space", lambda row: str(row["space"]), is_text=True))
    return known


def rows_of(front: pd.DataFrame, columns: list[Column]) -> list[Row]:
    """Rows of a front, in its order."""
    return [
        Row(
            str(row["architecture"]),
            bool(row["is_non_dominated"]),
            tuple(column.text(row) for column in columns),
        )
        for _, row in front.iterrows()
    ]


def _figure(title: str, column: str, error: str, factor: float) -> Column:
    def text(row: "pd.Series[float]") -> str:
        if not error:
            return plain(factor * row[column])
        return with_error(factor * row[column], factor * row[error], "")

    return Column(title, text)


def _of(measure: Measure) -> Column:
    return _figure(measure.label, measure.column, measure.error, measure.factor)


def _measured(row: "pd.Series[float]") -> str:
    if row["failure"]:
        return "failed"
    if row["latency_ms_measured"] != row["latency_ms_measured"]:
        return "not measured"
    return with_error(row["latency_ms_measured"], row["latency_ms_rounds"], "")


def _predicted(row: "pd.Series[float]") -> str:
    text = with_error(row["latency_ms_predicted"], row["latency_ms_std"], "")
    return f"{text}, extrapolated" if row["latency_ms_extrapolated"] else text


_MEASURED = Column("measured, ms", _measured)
_PREDICTED = Column("predicted, ms", _predicted)
