"""Exported tables whose checksum is right, and whose content is not."""

import copy
import csv
import io
import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from tailorbird import __version__
from tailorbird.errors import RecipeError, TailorbirdError, UnfitStoreError
from tailorbird.latency_tables import Configuration, Record, Samples, Store
from tailorbird.latency_tables.formats import codecs, files
from tailorbird.latency_tables.formats.plain_rows import COLUMNS, TEXTS, to_rows
from tailorbird.latency_tables.tables.listing import listing, text
from tailorbird.latency_tables.tables.record import Round, Session
from tailorbird.progress import printable
from tailorbird.spaces.footprint import Footprint

FACTS = {"n_copies": "2"}
NOW = "2026-01-01T00:00:00.000001+00:00"
CONFIGURATION = Configuration("a processor", "x86-64-v3", 1, 16, "tvm", "0.27", "static-1", "1")


def record() -> Record:
    samples = Samples(np.array([1.0, 1.5, 2.0]), np.array([1.0]))
    measured = [
        Round(
            f"m{i}", NOW, f"conv {i % 3}", "s0", "measured", i // 3, samples, 1.0, None, {"a": "b"}
        )
        for i in range(6)
    ]
    failed = Round("f", NOW, "conv 3", "s1", "failed", None, None, None, "no linker", {})
    costs = {f"conv {i}": Footprint(10, 20, 30, 40) for i in range(3)}
    sessions = {"s0": Session("2026-01-01T00:00:00+00:00", {"kernel": "6"}),
                "s1": Session("2026-01-02T00:00:00+00:00", {})}  # fmt: skip
    return Record("a board", "tiny", CONFIGURATION, sessions, (*measured, failed), costs)


def content() -> tuple[dict[str, Any], list[dict[str, Any]]]:
    head, rows = to_rows(record())
    facts = {"name": "tailorbird latency table", "format": files.FORMAT, "tailorbird": __version__}
    return {**facts, **head}, rows


def to_json(head: Any, rows: Any) -> bytes:
    return json.dumps({"table": head, "rounds": rows}).encode()


def to_csv(head: Any, rows: Any) -> bytes:
    columns = list(dict.fromkeys([*COLUMNS, *(column for row in rows for column in row)]))
    lines = io.StringIO(newline="")
    lines.writelines(f"# {line}\n" for line in json.dumps(head, indent=1).splitlines())
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        cells = [row.get(column) for column in columns]
        writer.writerow(
            ""
            if cell is None
            else cell
            if column in TEXTS and isinstance(cell, str)
            else json.dumps(cell)
            for column, cell in zip(columns, cells, strict=True)
        )
    return lines.getvalue().encode("utf-8", "surrogatepass")


def to_parquet(head: Any, rows: Any) -> bytes:
    flat = [row | {"provenance": json.dumps(row.get("provenance"))} for row in rows]
    try:
        table = pa.Table.from_pylist(flat, schema=pa.schema(codecs._types()))
    except (TypeError, ValueError, OverflowError):
        table = pa.Table.from_pylist(flat)
    file = io.BytesIO()
    parquet.write_table(table.replace_schema_metadata({"tailorbird": json.dumps(head)}), file)
    return file.getvalue()


WRITERS: dict[str, Callable[[Any, Any], bytes]] = {
    ".json": to_json,
    ".csv": to_csv,
    ".parquet": to_parquet,
}


def write(path: Path, head: Any, rows: Any) -> Path:
    """As `files.write` would, but whatever it is, with the checksum of what is written."""
    if isinstance(head, dict):
        head = head | {"sha256": files._digest(head, rows)}
    path.write_bytes(WRITERS[path.suffix](head, rows))
    return path


@pytest.mark.parametrize("suffix", WRITERS)
def test_what_is_right_is_read(tmp_path: Path, suffix: str) -> None:
    read = files.read(write(tmp_path / f"t{suffix}", *content()))
    assert to_rows(read) == to_rows(record())


HUGE = 10**400

# Where, what is put there, and what is said. Rows 3 and 6 are of one key; row 7 is a failure.
CHANGES: list[tuple[tuple[Any, ...], Any, str]] = [
    ((0, "device"), 7, "head, device: must be a text, but is 7"),
    ((0, "device"), "\x1b[31m", r"head, device: must hold no control characters, but is '\\x1b"),
    ((0, "space"), "a\nb", "head, space: must hold no control characters"),
    ((0, "tailorbird"), None, "head, tailorbird: must be a text"),
    ((0, "configuration"), [], "head, configuration: must be a table of fields"),
    ((0, "configuration", "threads"), [1.0], "head, configuration.threads: must be a whole number"),
    ((0, "configuration", "threads"), True, "head, configuration.threads: must be a whole number"),
    (
        (0, "configuration", "batch"),
        0,
        "head, configuration.batch: must be .* equal to 1, but is 0",
    ),
    ((0, "configuration", "batch"), HUGE, "head, configuration.batch: must be less than or equal"),
    ((0, "configuration", "colour"), "red", "configuration.colour is not known to this tailorbird"),
    ((0, "colour"), "red", "head, colour is not known to this tailorbird"),
    ((0, "sessions"), 3, "head, sessions: must be a table of texts"),
    ((0, "sessions", "s0"), 3, "head, sessions.s0: must be a table of fields"),
    ((0, "sessions", "s0", "started"), None, "sessions.s0.started: must be a text"),
    ((0, "sessions", "s0", "started"), "2026-13-01T00:00:00+00:00", "must be a moment in UTC"),
    ((0, "sessions", "s0", "provenance"), {"a": 1}, "sessions.s0.provenance.a: must be a text"),
    ((0, "sessions", "\x07"), 3, r"head, sessions\.\\x07: must hold no control characters"),
    ((1, 2, "uid"), "", "row 3, uid: must not be empty"),
    ((1, 2, "uid"), "m0", "row 3: uid 'm0' must be its own, but is row 1's"),
    ((1, 2, "uid"), "a\0b", "row 3, uid: must hold no control characters"),
    ((1, 2, "taken"), "2026", "row 3, taken: must be a moment in UTC such as .*, but is '2026'"),
    ((1, 2, "taken"), "2026-02-30T00:00:00+00:00", "row 3, taken: must be a moment in UTC"),
    ((1, 2, "key"), "x" * 10_001, "row 3, key: must have at most 10,000 characters, but is 'xx"),
    ((1, 2, "key"), "a\tb", "row 3, key: must hold no control characters"),
    ((1, 2, "session"), "s9", "row 3: session 's9' must be one of the head's, but is none"),
    ((1, 2, "status"), "guessed", "row 3, status: must be 'measured', .*, but is 'guessed'"),
    ((1, 2, "status"), "imported", "row 3: the status of all rows must be imported where the"),
    ((1, 2, "round"), None, "row 3: A round has a number and samples"),
    ((1, 2, "round"), -1, "row 3, round: must be greater than or equal to 0, but is -1"),
    ((1, 2, "round"), 2**31, "row 3, round: must be less than or equal to 2147483647"),
    ((1, 2, "ms"), [], "row 3: there are no samples"),
    ((1, 2, "ms"), None, "row 3: ms and hot_ms must both be there, or both be missing"),
    ((1, 2, "hot_ms"), None, "row 3: ms and hot_ms must both be there, or both be missing"),
    ((1, 2, "ms", 1), -1.0, r"row 3, ms\[1\]: must be finite and positive, .*, but is -1\.0"),
    ((1, 2, "ms", 1), float("nan"), r"row 3, ms\[1\]: must be finite and positive.*nan"),
    ((1, 2, "ms", 1), float("inf"), r"row 3, ms\[1\]: must be finite and positive.*inf"),
    ((1, 2, "ms", 1), 1e298, r"row 3, ms\[1\]: must be finite and positive.*1e\+298"),
    ((1, 2, "hot_ms", 0), 7.5e-15, r"row 3, hot_ms\[0\]: must be finite and positive.*7\.5e-15"),
    ((1, 2, "reference_ms"), 0.0, "row 3, reference_ms: must be finite and positive"),
    ((1, 2, "reference_ms"), None, "row 3: A round has a reference"),
    ((1, 2, "reason"), "none", "row 3: A round has a number and samples, but no reason"),
    ((1, 6, "ms"), [1.0], "row 7: ms and hot_ms must both be there"),
    ((1, 2, "provenance"), {"a": None}, "row 3, provenance.a: must be a text, but is None"),
    ((1, 2, "provenance"), {"a": "b\0"}, "row 3, provenance.a: must hold neither NUL nor halves"),
    ((1, 2, "provenance"), "x" * 999, "row 3, provenance: must be a table of texts"),
    ((1, 2, "n_macs"), -1, "row 3, n_macs: must be greater than or equal to 0, but is -1"),
    ((1, 2, "n_macs"), 11, r"row 6: costs must be those of row 3, which is of the same key"),
    ((1, 2, "n_macs"), None, "row 3: 3 of the 4 costs are there, but all or none must be"),
]
# What the types of Parquet's columns do not even hold.
TYPES: list[tuple[tuple[Any, ...], Any, str]] = [
    ((0,), [], "it must hold a head and rows"),
    ((1,), {}, "it must hold a head and rows"),
    ((1, 2), [], "row 3: must be a table of fields"),
    ((1, 2, "colour"), "red", "row 3, colour is not known to this tailorbird"),
    ((1, 2, "key"), -1, "row 3, key: must be a text, but is -1"),
    ((1, 2, "key"), "\ud800", r"row 3, key: must be a text without halves .*'\\ud800'"),
    ((1, 6, "reason"), None, "row 7: A failure has a reason"),
    ((1, 2, "taken"), 5, "row 3, taken: must be a text"),
    ((1, 2, "status"), "failed", "row 3: A failure has a reason, but no number"),
    ((1, 2, "ms"), "abc", "row 3, ms: must be a list of numbers, but is 'abc'"),
    ((1, 2, "ms", 1), True, r"row 3, ms\[1\]: must be a number, but is True"),
    ((1, 2, "ms", 1), HUGE, r"row 3, ms\[1\]: must be a number, but is 1000"),
    ((1, 2, "ms", 1), [1.0], r"row 3, ms\[1\]: must be a number"),
    ((1, 2, "ms"), [True] * 100_001, "row 3, ms: must have at most 100,000 values"),
    ((1, 2, "round"), 0.0, "row 3, round: must be a whole number, but is 0.0"),
    ((1, 2, "n_params"), 2**63, "row 3, n_params: must be less than or equal to 92233720368547"),
    ((1, 2, "provenance"), 5, "row 3, provenance: must be a table of texts, but is 5"),
]


def changed(where: tuple[Any, ...], value: Any) -> list[Any]:
    document: list[Any] = list(content())
    place: Any = document
    for step in where[:-1]:
        place = place[step]
    place[where[-1]] = value
    return document


@pytest.mark.parametrize("number", range(len(CHANGES)))
def test_what_cannot_be_is_refused_with_its_row_whatever_the_format(
    tmp_path: Path, number: int
) -> None:
    where, value, message = CHANGES[number]
    for suffix in WRITERS:
        with pytest.raises(RecipeError, match=message) as caught:
            files.read(write(tmp_path / f"t{suffix}", *changed(where, value)))
        assert str(caught.value).count("\n") == 0
        assert printable(str(caught.value)) == str(caught.value)


@pytest.mark.parametrize("number", range(len(TYPES)))
def test_types_that_only_json_can_hold_are_refused_with_their_row(
    tmp_path: Path, number: int
) -> None:
    where, value, message = TYPES[number]
    with pytest.raises(RecipeError, match=message):
        files.read(write(tmp_path / "t.json", *changed(where, value)))


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_columns_that_are_missing_unknown_or_of_another_type_are_refused(
    tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"t{suffix}"
    head, rows = content()
    write(path, head, [row | {"colour": "red"} for row in rows])
    if suffix == ".parquet":
        colours = pa.array(["red"] * len(rows))
        parquet.write_table(parquet.read_table(path).append_column("colour", colours), path)
    with pytest.raises(RecipeError, match="the column 'colour' is not known to this tailorbird"):
        files.read(path)
    if suffix == ".parquet":
        with pytest.raises(RecipeError, match="the column round must be of the type int64, but is"):
            files.read(write(path, head, [row | {"round": "x"} for row in rows]))
    else:
        path.write_bytes(to_csv(head, rows).replace(b"round,", b"around,", 1))
        with pytest.raises(RecipeError, match="the column round is missing"):
            files.read(path)
        path.write_bytes(to_csv(head, rows) + b"1,2\n")
        with pytest.raises(RecipeError, match="row 8 has 2 cells of 15"):
            files.read(path)
        path.write_bytes(to_csv(head, rows).replace(b'"[1.0', b'"[1.0x', 1))
        with pytest.raises(RecipeError, match="row 1, ms: must be JSON"):
            files.read(path)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("[" * 100_000, "it is nested too deeply"),
        ('{"table": ' * 50_000, "it is nested too deeply"),
        ('{"table": ' + "9" * 5_000 + "}", "an integer may have 4,000 digits, but one has 5,000"),
        ('{"table": {"a": 1, "a": 2}, "rounds": []}', "a field must be there once"),
        ('{"table": {}, "rounds": [], "more": 1}', "it must hold a table and its rounds"),
        ('{"table": {}, "rounds": []}', "head, name is missing"),
        ('{"table": {"name": "x"}, "rounds": []}', "head, format is missing"),
        ("\ufeff{}", "it must hold a table and its rounds"),
    ],
)
def test_json_that_is_none_of_ours_is_refused(tmp_path: Path, document: str, message: str) -> None:
    (tmp_path / "t.json").write_text(document)
    with pytest.raises(RecipeError, match=message) as caught:
        files.read(tmp_path / "t.json")
    assert len(str(caught.value)) < 500


def test_parquet_that_unpacks_to_gigabytes_is_not_unpacked(tmp_path: Path) -> None:
    head, rows = content()
    n_rows, n_samples = 50_000, 200
    one = pa.Table.from_pylist(
        [rows[0] | {"provenance": "{}", "reason": ""}], schema=pa.schema(codecs._types())
    )
    many = {name: pa.repeat(one[name][0], n_rows) for name in one.column_names}
    ends = pa.array(np.arange(n_rows + 1, dtype=np.int32) * n_samples)
    many["ms"] = pa.ListArray.from_arrays(ends, pa.array(np.ones(n_rows * n_samples)))
    table = pa.table(many, schema=one.schema).replace_schema_metadata({"tailorbird": "{}"})
    parquet.write_table(table, tmp_path / "t.parquet", compression="zstd")
    assert (tmp_path / "t.parquet").stat().st_size < 100_000
    with pytest.raises(RecipeError, match=r"it unpacks to \d+ MiB, but a table may have 64"):
        files.read(tmp_path / "t.parquet")
    texts = pa.array(["x" * 100_000] * 1_000)
    head["sha256"] = ""
    table = table.slice(0, 1_000).set_column(table.column_names.index("reason"), "reason", texts)
    parquet.write_table(table, tmp_path / "t.parquet")
    assert (tmp_path / "t.parquet").stat().st_size < 100_000
    with pytest.raises(RecipeError, match="it unpacks to 97 MiB, but a table may have 64"):
        files.read(tmp_path / "t.parquet")


def test_what_could_not_be_read_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="device: must hold no control characters"):
        files.write(replace(record(), device="\x1b[31m"), tmp_path / "t.csv")
    assert not list(tmp_path.iterdir())


def test_a_uid_stands_for_one_thing(urls: Callable[[str], str]) -> None:
    held = record()
    store = Store(urls("store"))
    store.take_in(held)
    first = held.rounds[0]
    changes: list[dict[str, Any]] = [
        {"key": "conv 9"},
        {"samples": Samples(np.array([9.0]), np.array([]))},
        {"reference_ms": 2.0},
        {"session": "s1"},
        {"provenance": {}},
    ]
    for change in changes:
        other = replace(held, rounds=(replace(first, **change), *held.rounds[1:]))
        with pytest.raises(UnfitStoreError, match=r"row 1 of the file, of conv .*something else"):
            store.take_in(other)
    elsewhere = replace(held, configuration=replace(CONFIGURATION, threads=2))
    with pytest.raises(UnfitStoreError, match="something else there"):
        store.take_in(elsewhere)
    session = {**held.sessions, "s0": Session("2026-01-01T00:00:00+00:00", {"kernel": "7"})}
    with pytest.raises(UnfitStoreError, match="the session s0 of the file is another there"):
        store.take_in(replace(held, sessions=session))
    assert to_rows(store.record(CONFIGURATION, "a board", "tiny")) == to_rows(held)
    assert store.take_in(held) == 0


VALUES: list[Any] = [
    *(None, True, 0, -1, 2**31, 2**63, 10**30, HUGE, 1.5, -0.0, 1e308, 5e-324),
    *(float("nan"), float("-inf"), "", "a", "\0", "\ud800", "\x1b[31m", "1", "imported", "failed"),
    *([], [[]], [None], ["a"], {}, {"a": {"b": 1}}, {"std_ms": "x"}, "2026-01-01", NOW),
]


def mutant(rng: random.Random) -> list[Any]:
    """The content with one to three values that are others, missing, doubled or nested."""
    document: list[Any] = list(copy.deepcopy(content()))
    for _ in range(rng.choice([1, 1, 2, 3])):
        part = rng.randrange(2)
        place: Any = document[part]
        if part and place:
            place = rng.choice(place)
        while True:
            if not isinstance(place, (dict, list)) or not place:
                break
            key = rng.choice(list(place) if isinstance(place, dict) else range(len(place)))
            if isinstance(place[key], (dict, list)) and place[key] and rng.random() < 0.7:
                place = place[key]
                continue
            match rng.randrange(6):
                case 0:
                    del place[key]
                case 1:
                    place[key] = [place[key]]
                case 2 if isinstance(place, list):
                    place.append(copy.deepcopy(place[key]))
                case 3 if isinstance(place, dict):
                    place[rng.choice([*place])] = copy.deepcopy(place[key])
                case _:
                    place[key] = copy.deepcopy(rng.choice(VALUES))
            break
    return document


@pytest.mark.parametrize("suffix", WRITERS)
def test_mutants_are_refused_in_a_sentence_or_do_no_harm(tmp_path: Path, suffix: str) -> None:
    rng = random.Random(suffix)
    n_refused = 0
    for number in range(150):
        path = tmp_path / f"{number}{suffix}"
        try:
            write(path, *mutant(rng))
        except (ValueError, TypeError, AttributeError, LookupError, OverflowError):
            continue  # what the format cannot even hold
        try:
            read = files.read(path)
            shown = text(read, 2)
            json.dumps(listing(read, 2), allow_nan=False)
            Store(f"sqlite:///{tmp_path / f'{number}.sqlite'}").take_in(read)
        except TailorbirdError as error:
            n_refused += 1
            assert str(error).count("\n") == 0  # noqa: PT017
        else:
            assert printable(shown) == shown
    assert n_refused > 75
