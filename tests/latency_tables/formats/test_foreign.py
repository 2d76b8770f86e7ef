"""What users save their latencies as: which is read, and what is said of the rest."""

import gzip
import json
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from tailorbird import spaces
from tailorbird.errors import RecipeError
from tailorbird.latency_tables.formats import foreign, unneeded_rows
from tailorbird.latency_tables.formats.imported import Stated
from tailorbird.storage.foreign import csv_sheet

SPACE = spaces.get("digits-resnet", max_stitches=1)
KEYS = [workload.key for workload in SPACE.workloads]
OWN = pd.DataFrame({"key": KEYS, "ms": np.linspace(0.1, 2.0, len(KEYS))})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("key;ms\na;0,1\n", "line 1: columns must be separated by commas, but .* by semicolons"),
        ("key\tms\na\t0.1\n", "line 1: columns must be .* by tabs"),
        ('"key";"ms"\n"a";0,1\n', "line 1: columns must be .* by semicolons"),
        ("key|ms\na|1\n", "by bars"),
        ("key ms\na 1\n", "by spaces"),
        ("sep=;\nkey;ms\n", "line 1: columns must be .* by semicolons"),
        ("key,ms\na;1\n", "line 2: there are 1 cells, but 2 columns; .* seem to be by semicolons"),
        ("# mine\nkey,ms\na,1\n", "line 1: CSV has no comments, but this begins with #: delete it"),
        ("# mine, of May\nkey,ms\na,1\n", "line 1: CSV has no comments"),
        ("key,ms\na,1\n# b, 2\n", "line 3: CSV has no comments"),
        ("#key,ms\na,1\n", "line 1: .* delete it, or only the #"),
        ('key,ms\na,"0,1"\n', "line 2: ms must be a number, but is '0,1', with a comma for a dec"),
        ("key,ms\na,1_0\n", "line 2: ms must be a number, but is '1_0'"),
        ("key,ms\na,1e400\n", "line 2: ms must be finite and positive, but is inf"),
        ("key,ms\na,4e-324\n", "line 2: ms must be 1e-09 to 1e.09 ms, but is 5e-324"),
        ("key,ms\na\x1b[31m,1\n", r"line 2: a key must be printable, but is 'a\\x1b\[31m'"),
        ("key,ms\n" + "a" * 1001 + ",1\n", "line 2: a key has at most 1,000 characters"),
        ("key,ms\n" + "a" * 200_000 + ",1\n", "line 2: field larger than field limit"),
        ("key,\x1b[31mms\na,1\n", r"but are key, '\\x1b\[31mms'"),
        ("key,ms\na\0,1\n", "line 2 holds NUL"),
        (",".join(map(str, range(2000))) + "\n", "1,000 columns, but there are 2,000"),
        ("key,ms\n".encode("utf-16"), "must be in UTF-8, but '.*' is in UTF-16"),
        ("key,ms\n".encode("utf-32"), "must be in UTF-8, but '.*' is in UTF-32"),
        ("key,ms\né,1\n".encode("latin-1"), "line 2 holds the byte 0xe9. Save it anew as UTF-8"),
    ],
)
def test_what_programs_save_otherwise_is_named(
    tmp_path: Path, text: str | bytes, message: str
) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert foreign.is_foreign(path)
    with pytest.raises(RecipeError, match=message) as caught:
        foreign.read(path)
    said = str(caught.value)
    assert said.isprintable()
    assert len(said) < 1_000


@pytest.mark.parametrize(
    "document",
    [dict(zip(KEYS, OWN["ms"], strict=True)), {"of": "table", "rounds": 3}, [], 3, "a"],
)
def test_json_is_refused_with_what_is_taken(tmp_path: Path, document: object) -> None:
    path = tmp_path / "lut.JSON"
    path.write_text(json.dumps(document))
    assert foreign.is_foreign(path)
    with pytest.raises(RecipeError, match="from CSV or Parquet with the columns key, ms and perh"):
        foreign.read(path)


def test_parquet_says_what_csv_says(tmp_path: Path) -> None:
    spread = OWN.assign(std_ms=(OWN["ms"] / 8).where(OWN["ms"] > 0.2))
    for name, frame in (("plain", OWN), ("spread", spread), ("rows", OWN.iloc[::-1])):
        frame.to_parquet(tmp_path / f"{name}.PARQUET")
        frame.to_csv(tmp_path / f"{name}.csv", index=False)
        read = foreign.read(tmp_path / f"{name}.PARQUET")
        of_csv = foreign.read(tmp_path / f"{name}.csv")
        assert foreign.is_foreign(tmp_path / f"{name}.PARQUET")
        assert (read.place, of_csv.place) == ("row", "line")
        assert [(s.key, s.ms, s.std_ms, s.line + 1) for s in read.stated] == [
            (s.key, s.ms, s.std_ms, s.line) for s in of_csv.stated
        ]


def test_types_that_hold_texts_and_numbers_are_as_good(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    OWN.assign(key=OWN["key"].astype("category"), ms=range(1, len(OWN) + 1)).to_parquet(path)
    assert [(s.key, s.ms) for s in foreign.read(path).stated] == list(
        zip(KEYS, map(float, range(1, len(OWN) + 1)), strict=True)
    )


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (OWN.drop(columns="ms"), "has no column 'ms'; known: key"),
        (OWN.assign(note="a"), r"has key, ms, note\. Drop the others"),
        (OWN.assign(ms="fast"), "Column 'ms' of '.*' must hold numbers, but its type is .*string"),
        (OWN.assign(ms=True), "Column 'ms' .* must hold numbers, but its type is bool"),
        (OWN.assign(ms=OWN["ms"].map(lambda ms: [ms])), "must hold numbers, but its type is list"),
        (OWN.assign(key=1), "Column 'key' .* must hold text, but its type is int64"),
        (OWN.assign(ms=-1.0), "row 1: ms must be finite and positive, but is -1.0"),
        (OWN.assign(ms=OWN["ms"].where(OWN["ms"] > 0.2)), "row 1: ms is missing"),
        (OWN.assign(std_ms=[0.0, *[np.inf] * (len(OWN) - 1)]), "row 2: std_ms must be finite"),
        (OWN.assign(key="\x1b[31m"), "row 1: a key must be printable"),
        (OWN.assign(key="a"), "row 2: a has .* ms, but 0.1 ms in row 1"),
        (OWN.head(0), "has a header, but no latencies"),
    ],
)
def test_parquet_that_does_not_fit_is_refused(
    tmp_path: Path, frame: pd.DataFrame, message: str
) -> None:
    path = tmp_path / "t.parquet"
    frame.to_parquet(path)
    with pytest.raises(RecipeError, match=message):
        foreign.read(path)


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    twice = pa.table([["a"], [1.0], [2.0]], names=["key", "ms", "ms"])
    parquet.write_table(twice, path)
    with pytest.raises(RecipeError, match="has 2 that are 'ms'"):
        foreign.read(path)


def test_torn_parquet_is_named(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    OWN.to_parquet(path)
    whole = path.read_bytes()
    for torn in (whole[:-9], whole[:9], b"PAR1", b"", b"key,ms\na,1\n"):
        path.write_bytes(torn)
        with pytest.raises(RecipeError, match=r"'.*t\.parquet' is torn, or no Parquet"):
            foreign.is_foreign(path)


def bomb(path: Path) -> None:
    """A small file, of which much comes out."""
    n, most = csv_sheet.MOST_ROWS, 65 * 2**20
    match path.name:
        case "text.csv.gz":
            path.write_bytes(gzip.compress(b"key,ms\n" + b"a" * most + b",1\n", 1))
        case "rows.parquet":
            parquet.write_table(pa.table({"key": ["a"] * (n + 1), "ms": np.ones(n + 1)}), path)
        case "dictionary.parquet":
            zeros = pa.array(np.zeros(n, dtype=np.int32))
            key = pa.DictionaryArray.from_arrays(zeros, pa.array(["a" * 100_000]))
            parquet.write_table(pa.table({"key": key, "ms": np.ones(n)}), path)
        case "cell.parquet":
            table = pa.table({"key": ["a" * most], "ms": [1.0]})
            parquet.write_table(table, path, compression="zstd", use_dictionary=False)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("text.csv.gz", "may have 64 MiB, but '.*' unpacks to more"),
        ("rows.parquet", "may have 200,000 rows, but '.*' has more"),
        ("dictionary.parquet", r"unpacks to 19,\d\d\d MiB, but a table may have 64"),
        ("cell.parquet", "unpacks to 65 MiB, but a table may have 64"),
    ],
)
def test_a_small_file_of_which_much_would_come_out_is_refused(
    tmp_path: Path, name: str, message: str
) -> None:
    path = tmp_path / name
    bomb(path)
    assert path.stat().st_size < 2**21
    before = pa.total_allocated_bytes()
    tracemalloc.start()
    with pytest.raises(RecipeError, match=message):
        foreign.read(path)
    assert tracemalloc.get_traced_memory()[1] < 2**28
    tracemalloc.stop()
    assert pa.total_allocated_bytes() - before < 2**26


def test_rows_of_no_workload_are_told_with_the_nearest_key() -> None:
    stated = [Stated(key, 1.0, None, line) for line, key in enumerate(KEYS, start=2)]
    assert unneeded_rows.remark(stated, "line", SPACE) is None
    assert (
        unneeded_rows.remark([*stated, Stated("call()[1]f32", 0.1, None, 30)], "line", SPACE)
        is None
    )
    misspelt = [
        Stated(one.key.replace("residual_block", "resblock"), 1.0, None, one.line) for one in stated
    ]
    assert unneeded_rows.remark(misspelt, "line", SPACE) == (
        f"4 of 15 rows are of no workload of {SPACE.name} (first: "
        "'resblock(width=4)[1x4x8x8]f32' in line 6; the nearest is "
        "'residual_block(width=4)[1x4x8x8]f32')."
    )
    with pytest.raises(
        RecipeError, match=r"None of 4 rows is of a workload of digits-.*table keys"
    ):
        unneeded_rows.remark(misspelt[4:8], "row", SPACE)
