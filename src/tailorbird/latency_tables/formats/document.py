"""Pydantic models of an exported table: what each value of a file may be."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from tailorbird.errors import shown
from tailorbird.latency_tables.tables.configuration import IMPORTED
from tailorbird.latency_tables.tables.price import LONGEST_MS, SHORTEST_MS, is_latency

_STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?\+00:00")
_LARGEST_INTEGER = 2**63 - 1  # that databases take
_LARGEST_COUNT = 2**31 - 1
_AT_MOST = Field(max_length=100_000)  # checked first: pydantic keeps an error per wrong value


def _storable(text: str) -> str:
    for letter in text:
        if letter == "\0" or unicodedata.category(letter) == "Cs":
            raise ValueError("must hold neither NUL nor halves of a surrogate pair")
    return text


def _printable(text: str) -> str:
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in text):
        raise ValueError("must hold no control characters")
    return text


def _stamp(text: str) -> str:
    law = "must be a moment in UTC such as 2026-01-31T12:00:00+00:00"
    if not _STAMP.fullmatch(text):
        raise ValueError(law)
    try:
        datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(law) from None
    return text


def _latency(ms: float) -> float:
    if not is_latency(ms):
        raise ValueError(f"must be finite and positive, {SHORTEST_MS:g} to {LONGEST_MS:g}")
    return ms


_Text = Annotated[str, AfterValidator(_storable)]
_Name = Annotated[str, AfterValidator(_printable)]
_Key = Annotated[str, Field(min_length=1, max_length=10_000), AfterValidator(_printable)]
_Stamp = Annotated[str, AfterValidator(_stamp)]
_Count = Annotated[int, Field(ge=1, le=_LARGEST_COUNT)]
_Ms = Annotated[float, AfterValidator(_latency)]
_Samples = Annotated[list[_Ms], _AT_MOST] | None
_Cost = Annotated[int, Field(ge=0, le=_LARGEST_INTEGER)] | None
_Facts = Annotated[dict[_Text, _Text], _AT_MOST]


class _Part(BaseModel):
    """Base of the models: unknown fields are refused, and no value is converted."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class ConfigurationPart(_Part):
    """Fields of `Configuration`."""

    cpu: _Name
    target: _Name
    threads: _Count
    batch: _Count
    runtime: _Key
    runtime_version: _Name
    schedule: _Name
    timing: _Name


class SessionPart(_Part):
    """Fields of `Session`."""

    started: _Stamp
    provenance: _Facts


class Head(_Part):
    """Head of a file: what holds for all of its rows."""

    name: str
    format: int
    tailorbird: _Name
    device: _Name
    space: _Name
    configuration: ConfigurationPart
    sessions: Annotated[dict[_Key, SessionPart], _AT_MOST]


class Row(_Part):
    """Row of a file: a round or a failure, as `plain_rows` lays it out."""

    uid: _Key
    taken: _Stamp
    key: _Key
    session: _Key
    status: Literal["measured", "imported", "discarded", "failed"]
    round: Annotated[int, Field(ge=0, le=_LARGEST_COUNT)] | None
    ms: _Samples
    hot_ms: _Samples
    reference_ms: _Ms | None
    reason: _Text | None
    provenance: _Facts
    n_macs: _Cost
    n_params: _Cost
    weight_bytes: _Cost
    peak_activation_bytes: _Cost

    @property
    def costs(self) -> tuple[int | None, ...]:
        """Fields of `Footprint`, in its order; None where they were not counted."""
        return self.n_macs, self.n_params, self.weight_bytes, self.peak_activation_bytes

    @model_validator(mode="after")
    def _goes_together(self) -> "Row":
        n_known = sum(cost is not None for cost in self.costs)
        if n_known not in (0, len(self.costs)):
            raise ValueError(
                f"{n_known} of the {len(self.costs)} costs are there, but all or none must be"
            )
        return self


_LAWS = {
    "model_type": "must be a table of fields",
    "dict_type": "must be a table of texts",
    "list_type": "must be a list of numbers",
    "string_type": "must be a text",
    "string_unicode": "must be a text without halves of a surrogate pair",
    "string_too_short": "must not be empty",
    "string_too_long": "must have at most 10,000 characters",
    "too_long": "must have at most 100,000 values",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
}
"""What must hold, in our words, by pydantic's type of the error."""


def checked(head: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> tuple[Head, list[Row]]:
    """Checks a head and its rows, each by itself and against each other.

    Raises:
        ValueError: naming the first field, or row and column, that is wrong, and the law.
    """
    try:
        typed_head = Head.model_validate(head)
    except ValidationError as error:
        raise ValueError(_explained(error, "head")) from None
    typed_rows = []
    for number, row in enumerate(rows, 1):
        try:
            typed_rows.append(Row.model_validate(row))
        except ValidationError as error:
            raise ValueError(_explained(error, f"row {number}")) from None
    _refuse_contradictions(typed_head, typed_rows)
    return typed_head, typed_rows


def _refuse_contradictions(head: Head, rows: Sequence[Row]) -> None:
    """Refuses rows that other rows or the head contradict; each is right by itself."""
    is_imported = head.configuration.runtime == IMPORTED
    first_of_uid: dict[str, int] = {}
    first_of_key: dict[str, int] = {}
    for number, row in enumerate(rows, 1):
        if (first := first_of_uid.setdefault(row.uid, number)) != number:
            told = f"uid {shown(row.uid)} must be its own, but is row {first}'s"
            raise ValueError(f"row {number}: {told}")
        if row.session not in head.sessions:
            told = f"session {shown(row.session)} must be one of the head's, but is none"
            raise ValueError(f"row {number}: {told}")
        if (row.status == "imported") != is_imported:
            raise ValueError(
                f"row {number}: the status of all rows must be imported where the runtime is, and "
                f"of none elsewhere, but is {row.status!r} with runtime "
                f"{shown(head.configuration.runtime)}"
            )
        first = first_of_key.setdefault(row.key, number)
        if is_imported and first != number:
            told = f"key {shown(row.key)} must have one value, but row {first} has one"
            raise ValueError(f"row {number}: {told}")
        if row.costs != rows[first - 1].costs:
            raise ValueError(
                f"row {number}: costs must be those of row {first}, which is of the same key, but "
                f"are {row.costs} and {rows[first - 1].costs}"
            )


def _explained(error: ValidationError, part: str) -> str:
    """First fault that pydantic found, as part of a sentence."""
    first = error.errors(include_url=False)[0]
    place = ""
    for step in first["loc"]:
        if isinstance(step, int):
            place += f"[{step}]"
        elif step != "[key]":
            place += f".{shown(step)[1:-1]}"
    where = f"{part}, {place[1:]}" if place else part
    match first["type"]:
        case "missing":
            return f"{where} is missing"
        case "extra_forbidden":
            return f"{where} is not known to this tailorbird"
        case "value_error":
            law = str(first["ctx"]["error"])
        case kind:
            law = _LAWS.get(kind, first["msg"].replace("Input should be", "must be"))
    return f"{where}: {law}, but is {shown(first['input'])}" if place else f"{where}: {law}"
