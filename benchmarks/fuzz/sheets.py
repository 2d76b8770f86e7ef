"""Latencies of users for `table import`: CSV, packed or not, and Parquet with the same columns."""

import csv
import gzip
import io
import json
import math
import random
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fuzz import special
from fuzz.case import Case, Ran
from fuzz.cells import Made, Sheet, changed, odd_gzip
from fuzz.damage import damaged
from fuzz.table_laws import LONGEST_MS, MOST_SPREADS, SHORTEST_MS

RECIPE = """
name = "own"
[space]
name = "digits-resnet"
max_stitches = 1
[device]
name = "my board"
batch = 16
[latency]
runtime = "imported"
"""
CALL = "call()[1]f32"
COLUMNS = ("key", "ms", "std_ms")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")  # digits of any script
_LARGEST = 64 * 2**20  # that a file is unpacked to, to be read anew

_KEYS = (
    *("Head(width=4,classes=10)[16x4x8x8]f32", "head(width=4, classes=10)[16x4x8x8]f32"),
    *("head(width=4,classes=10)[1x4x8x8]f32", "call()[1]f32", "CALL()[1]f32"),
)


class Sheets:
    """Files with a latency, and perhaps its spread, for each workload of a small space."""

    def __init__(self, folder: Path) -> None:
        from tailorbird import spaces

        space = spaces.get("digits-resnet", batch=16, max_stitches=1)
        self._keys = (*(workload.key for workload in space.workloads), CALL)
        rows = [(key, repr(0.5 + i / 8), repr(i / 100)) for i, key in enumerate(self._keys[:-1])]
        self._sheet = Sheet(COLUMNS, (*rows, (CALL, "0.01", "")))

    def original(self, number: int, folder: Path) -> Case:
        name = ("own.csv", "OWN.CSV", "own.csv.gz", "own.parquet")[number]
        content = self._sheet.text().encode()
        if name.endswith(".gz"):
            content = gzip.compress(content, mtime=0)
        if name.endswith(".parquet"):
            content = _parquet(_columns(self._sheet))
        return self._case(name, content, "nothing", folder, True)

    def case(self, rng: random.Random, folder: Path) -> Case:
        draw = rng.random()
        name = "own.csv"
        if draw < 0.04:
            name = rng.choice(("own.csv", "own.csv.gz", "own.parquet"))
            (folder / "r.toml").write_text(RECIPE)
            change = f"{special.put(rng, folder / name)} in the place of {name}"
            return Case(change, _commands(name), lambda ran: None)
        if draw < 0.16:
            return self._case("own.parquet", *_odd_parquet(rng, self._sheet), folder, False)
        if draw < 0.28:
            return self._case("own.csv.gz", *odd_gzip(rng, self._sheet.text()), folder, False)
        if draw < 0.38:
            content, change = damaged(rng, self._sheet.text().encode())
            return self._case(name, content, change, folder, False)
        if draw < 0.42:
            name = rng.choice(("own.tsv", "own.txt", "own.xlsx", "own", "own.csv.bz2", "own.json"))
            content = self._sheet.text().encode()
            return self._case(name, content, f"called {name}", folder, False)
        sheet = self._sheet
        if rng.random() < 0.5:
            sheet = replace(sheet, header=COLUMNS[:2], rows=tuple(row[:2] for row in sheet.rows))
        text, change, is_right = (_of_own if rng.random() < 0.15 else changed)(rng, sheet)
        encoding = rng.choice(("utf-8-sig", "utf-16", "latin-1")) if rng.random() < 0.1 else "utf-8"
        if encoding != "utf-8":
            change = f"{change}; in {encoding}"
        content = text.encode(encoding, "replace")
        return self._case(name, content, change, folder, is_right and encoding.startswith("utf-8"))

    def _case(self, name: str, content: bytes, change: str, folder: Path, is_right: bool) -> Case:
        (folder / "r.toml").write_text(RECIPE)
        (folder / name).write_bytes(content)

        def reason(ran: Sequence[Ran]) -> str | None:
            imported, shown = ran
            rows = json.loads(shown.out)["rows"] if shown.code == 0 else []
            if imported.code != 0:
                assert not rows, "a table is shown, although nothing was imported"
                return "the import was refused, and the table that is shown is empty"
            ours = _read_anew(name, content)
            unknown = [key for key in ours if key not in self._keys]
            said = imported.out + imported.err
            if unknown and not any(_named(key, said) for key in unknown):
                raise AssertionError(f"the unknown key {unknown[0]!r} is not named")
            theirs = {row["workload"]: row["median_ms"] for row in rows}
            assert theirs.keys() <= ours.keys(), f"it holds {sorted(theirs.keys() - ours.keys())}"
            lost = ours.keys() - theirs.keys() - set(unknown)
            assert not lost, f"it lacks {sorted(lost)}"
            wrong = [key for key, ms in theirs.items() if ms != ours[key]]
            assert not wrong, f"{wrong[0]} is {theirs[wrong[0]]} ms, not {ours[wrong[0]]}"
            if unknown:
                return "what is known is in the store as the file says it, what is not is named"
            return "all of it is in the store as the file says it"

        return Case(f"{name}: {change}", _commands(name), reason, is_right)


def _named(key: str, said: str) -> bool:
    """Whether what is said holds the beginning of a key, in letters or in escapes."""
    return any(form[1:-1][:50] in said for form in (repr(key), ascii(key)))


def _commands(name: str) -> tuple[tuple[str, ...], ...]:
    return ("table", "import", "r.toml", name), ("table", "show", "r.toml", "--json")


def _read_anew(name: str, content: bytes) -> dict[str, float]:
    """Latencies of a file by key, by the rules that README.md states."""
    if name.lower().endswith(".parquet"):
        table = pq.read_table(pa.BufferReader(content))
        header, rows = table.column_names, [list(row.values()) for row in table.to_pylist()]
    else:
        if name.lower().endswith(".gz"):
            with gzip.open(io.BytesIO(content)) as file:
                content = file.read(_LARGEST + 1)
            assert len(content) <= _LARGEST, f"it unpacks to more than {_LARGEST} bytes"
        text = content.decode("utf-8-sig")
        header, *rows = [
            row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row
        ]
        header = [cell.strip() for cell in header]
    assert sorted(header) in (sorted(COLUMNS), sorted(COLUMNS[:2])), f"its columns are {header}"
    found: dict[str, tuple[float, float | None]] = {}
    for row in rows:
        assert len(row) == len(header), f"a row has {len(row)} cells"
        cells = dict(zip(header, row, strict=True))
        key, ms = cells["key"], _number(cells["ms"])
        assert isinstance(key, str), f"a key is {key!r}"
        assert key.strip(), "a key is missing"
        assert SHORTEST_MS <= ms <= LONGEST_MS, f"{key} takes {ms}"
        stated, std_ms = cells.get("std_ms"), None
        if not (stated is None or (isinstance(stated, str) and not stated.strip())):
            std_ms = _number(stated)
            assert 0 <= std_ms <= MOST_SPREADS * ms, f"{key} has a spread of {std_ms}"
        first = found.setdefault(key.strip(), (ms, std_ms))
        assert first == (ms, std_ms), f"{key} is there twice"
    dearest = found.get(CALL, (0.0, None))[0]
    assert all(ms >= dearest for ms, _ in found.values()), "the call is dearer than a program"
    return {key: ms for key, (ms, _) in found.items()}


def _number(cell: Any) -> float:
    if isinstance(cell, str):
        assert _NUMBER.fullmatch(cell.strip()), f"{cell!r} is no number"
        return float(cell)
    assert type(cell) in (int, float), f"{cell!r} is no number"
    assert math.isfinite(cell), f"{cell!r} is no number"
    return float(cell)


def _columns(sheet: Sheet) -> dict[str, pa.Array]:
    keys, ms, std_ms = zip(*sheet.rows, strict=True)
    return {
        "key": pa.array(keys),
        "ms": pa.array(map(float, ms)),
        "std_ms": pa.array([float(std) if std else None for std in std_ms]),
    }


def _parquet(columns: dict[str, pa.Array]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink, compression="zstd")
    return sink.getvalue()


def _odd_parquet(rng: random.Random, sheet: Sheet) -> tuple[bytes, str]:
    columns = _columns(sheet)
    n = len(sheet.rows)
    match rng.randrange(12):
        case 0:
            return damaged(rng, _parquet(columns))
        case 1:
            name = rng.choice(COLUMNS)
            del columns[name]
            return _parquet(columns), f"without {name}"
        case 2:
            columns["more"] = pa.array(range(n))
            return _parquet(columns), "another column"
        case 3:
            columns["ms"] = columns["ms"].cast(pa.string())
            return _parquet(columns), "ms as text"
        case 4:
            columns["ms"] = pa.array(range(1, n + 1))
            return _parquet(columns), "ms as integers"
        case 5:
            place, bad = rng.randrange(n), rng.choice((None, math.nan, math.inf, -1.0, 0.0, 1e10))
            ms = columns["ms"].to_pylist()
            columns["ms"] = pa.array([*ms[:place], bad, *ms[place + 1 :]])
            return _parquet(columns), f"ms is {bad} in row {place + 1}"
        case 6:
            columns["key"] = columns["key"].dictionary_encode()
            return _parquet(columns), "keys by a dictionary"
        case 7:
            columns["key"] = pa.array(rng.choice((range(n), [b"a"] * n, [["a"]] * n, [None] * n)))
            return _parquet(columns), f"keys are {columns['key'].type}"
        case 8:
            columns["ms"] = columns["ms"].cast(rng.choice((pa.float32(), pa.bool_())))
            return _parquet(columns), f"ms are {columns['ms'].type}"
        case 9:
            return _parquet({name: column[:0] for name, column in columns.items()}), "no rows"
        case 10:
            many = 3_000_000
            same = {name: pa.repeat(column[0], many) for name, column in columns.items()}
            return _parquet(same), f"{many} equal rows"
    columns["ms"] = pa.array([[value.as_py()] for value in columns["ms"]])
    return _parquet(columns), "ms are lists"


def _of_own(rng: random.Random, sheet: Sheet) -> Made:
    """What is wrong with latencies of workloads only."""
    rows, number = sheet.rows, rng.randrange(len(sheet.rows))
    row = rows[number]
    called = (rng.choice(_KEYS), *row[1:])
    many = tuple((f"k{i}", "1.0", *("" for _ in row[2:])) for i in range(300_000))
    those, change = rng.choice(
        (
            ((*rows[:number], called, *rows[number + 1 :]), f"a key is {called[0]!r}"),
            ((*rows, (row[0], "77", *row[2:])), "a key twice, with other latencies"),
            ((*rows[:-1], (CALL, "1000", *rows[-1][2:])), "a call that is dearer than all others"),
            (many, "300,000 unknown keys"),
        )
    )
    return replace(sheet, rows=those).text(), change, False
