"""Tables of others: what is read, what is refused, and what a store makes of it."""

import gzip
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tailorbird import spaces
from tailorbird.errors import MissingWorkloadError, RecipeError, UnfitStoreError
from tailorbird.latency_tables import Configuration, Record, Samples, Store
from tailorbird.latency_tables.formats import files, foreign
from tailorbird.latency_tables.formats.imported import Stated, record_of
from tailorbird.latency_tables.formats.plain_rows import to_rows
from tailorbird.latency_tables.tables.record import Round
from tailorbird.predictors import TableSum
from tailorbird.published.data_folder import data_folder
from tailorbird.published.ofa_latencies import BATCH, COLUMNS, SOURCE, workload
from tailorbird.spaces import CALL, SearchSpace

CONFIGURATION = Configuration.imported("my board", threads=1, batch=1)
BLOCK = "MBConv-input:112x112x16-output:56x56x24-expand:3-kernel:5-stride:2-idskip:0-se:0"


def record(*stated: Stated, configuration: Configuration = CONFIGURATION) -> Record:
    return record_of(stated, {"file": "t.csv", "sha256": "0"}, configuration, "tiny")


def write(folder: Path, text: str | bytes, name: str = "t.csv") -> Path:
    path = folder / name
    content = text.encode() if isinstance(text, str) else text
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return path


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "T.CSV"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_plain_table_is_read(tmp_path: Path, name: str, newline: str) -> None:
    lines = ["\ufeffkey,ms,std_ms", '"conv(a=1,b=2)[1x3]f32",1.5,0.25', "", " call , 2e-4 ,", ""]
    path = write(tmp_path, newline.join(lines), name)
    assert foreign.is_foreign(path)
    table = foreign.read(path)
    assert table.stated == (
        Stated("conv(a=1,b=2)[1x3]f32", 1.5, 0.25, 2),
        Stated("call", 2e-4, None, 4),
    )
    assert (table.batch, table.provenance["file"]) == (None, name)
    assert len(table.provenance["sha256"]) == 64


def test_columns_may_change_places_and_lines_may_repeat(tmp_path: Path) -> None:
    path = write(tmp_path, "ms,key\n1.0,a\n2.0,b\n1.00,a\n")
    assert foreign.read(path).stated == (Stated("a", 1.0, None, 2), Stated("b", 2.0, None, 3))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'.*t.csv' is empty"),
        ("\n\n", "is empty"),
        ("key,ms\n", "has a header, but no latencies"),
        ("key,ms\na,1\nb,fast\n", "line 3: ms must be a number, but is 'fast'"),
        ("key,ms\na,\n", "line 2: ms is missing"),
        ("key,ms\na,nan\n", "line 2: ms must be finite and positive, but is nan"),
        ("key,ms\na,inf\n", "line 2: ms must be finite and positive"),
        ("key,ms\na,0\n", "line 2: ms must be finite and positive, but is 0"),
        ("key,ms\na,-1.5\n", "line 2: ms must be finite and positive, but is -1.5"),
        ("key,ms,std_ms\na,1,-1\n", "line 2: std_ms must be finite and not negative"),
        ("key,ms,std_ms\na,1,nan\n", "line 2: std_ms must be finite"),
        ("key,ms\n,1\n", "line 2: the key of the workload is missing"),
        ("key,ms\na,1\n\na,2\n", "line 4: a has 2.0 ms, but 1.0 ms in line 2"),
        ("key,ms,std_ms\na,1,\na,1,0.5\n", "line 3: a has 1.0 ± 0.5 ms, but 1.0 ms in line 2"),
        ("key,ms\nconv(a=1,b=2),1\n", "line 2: there are 3 cells, but 2 columns; a cell with comm"),
        ("key,ms\na\n", "line 2: there are 1 cells, but 2 columns"),
        ('key,ms\n"a,1\n', "line 2: unexpected end of data"),
        ("key,latency\na,1\n", r"line 1: the columns must be key, ms and perhaps std_ms, or.*late"),
        ("key,ms,ms\na,1,1\n", "line 1: each column needs a name of its own, but two are 'ms'"),
        ("a,1\nb,2\n", "line 1: the columns must be"),
        (b"key,ms\n\xff,1\n", "is not text in UTF-8"),
    ],
)
def test_a_bad_table_is_refused_in_one_sentence(
    tmp_path: Path, text: str | bytes, message: str
) -> None:
    with pytest.raises(RecipeError, match=message) as caught:
        foreign.read(write(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_a_torn_or_missing_file_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "key,ms\n" + "".join(f"k{i},1\n" for i in range(500)), "t.csv.gz")
    whole = path.read_bytes()
    for torn in (whole[:-4], whole[:60], b"key,ms\na,1\n", whole[:100] + b"?" + whole[101:]):
        path.write_bytes(torn)
        with pytest.raises(RecipeError, match="is torn, or not compressed by gzip"):
            foreign.read(path)
    for name in ("no.csv", "no.csv.gz"):
        with pytest.raises(RecipeError, match="cannot be read: No such file"):
            foreign.read(tmp_path / name)


def test_what_was_exported_is_not_foreign(tmp_path: Path) -> None:
    for suffix in ("csv", "json", "parquet"):
        files.write(record(Stated("a", 1.0, 0.1, 2)), tmp_path / f"t.{suffix}")
        assert not foreign.is_foreign(tmp_path / f"t.{suffix}")


@pytest.mark.parametrize("suffix", ["csv", "json", "parquet"])
def test_an_imported_value_stays_what_it_is_in_stores_and_files(
    tmp_path: Path, store: Store, suffix: str
) -> None:
    taken = record(Stated("a", 1.5, 0.03, 2), Stated("b", 2.0, None, 3))
    assert store.take_in(taken) == 2
    held = store.record(CONFIGURATION, "my board", "tiny")
    files.write(held, tmp_path / f"t.{suffix}")
    read = files.read(tmp_path / f"t.{suffix}")
    assert to_rows(read) == to_rows(held) == to_rows(taken)
    for found in (held, read):
        entries = found.table(1).entries
        assert (entries["a"].median_ms, entries["a"].std_ms) == (1.5, 0.03)
        assert entries["a"].is_trusted
        assert (entries["b"].std_ms, entries["b"].spread) == (0.0, None)
        assert entries["b"].doubts == ("imported: spread unknown",)
        assert {latency.drift for latency in entries.values()} == {None}
        assert found.table(1).provenance["a"] == {
            "file": "t.csv",
            "sha256": "0",
            "line": "2",
            "std_ms": "0.03",
        }
        assert found.provenance["file"] == "t.csv"
        assert found.provenance.keys() >= {"imported", "sha256"}
    assert store.take_in(read) == 0


def test_the_same_again_adds_nothing_and_another_value_is_refused_whole(store: Store) -> None:
    store.take_in(record(Stated("a", 1.2, None, 2)))
    before = to_rows(store.record(CONFIGURATION, "", "tiny"))
    moved = record(Stated("a", 1.2, None, 7))  # in another file
    assert store.take_in(moved) == 0
    for changed in (Stated("a", 1.3, None, 3), Stated("a", 1.2, 0.1, 3)):
        with pytest.raises(
            UnfitStoreError, match=r"a has 1.2 ms in the store, 1.*in the file"
        ) as error:
            store.take_in(record(Stated("b", 9.0, None, 2), changed))
        assert "Name another store" in str(error.value)
    head, rows = to_rows(store.record(CONFIGURATION, "", "tiny"))
    assert (head["configuration"], rows) == (before[0]["configuration"], before[1])
    other = Configuration.imported("another board", threads=1, batch=1)
    assert store.take_in(record(Stated("a", 1.3, None, 2), configuration=other)) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"reference_ms": 1.0},
        {"samples": Samples(np.array([1.0, 2.0]), np.array([]))},
        {"samples": Samples(np.array([1.0]), np.array([1.0]))},
        {"samples": None},
        {"provenance": {"std_ms": "-1"}},
        {"provenance": {"std_ms": "nan"}},
        {"provenance": {"std_ms": "much"}},
        {"status": "measured"},
        {"status": "guessed"},
    ],
)
def test_a_round_is_either_measured_or_imported(change: dict[str, object]) -> None:
    (one,) = record(Stated("a", 1.0, 0.5, 2)).rounds
    assert isinstance(one, Round)
    with pytest.raises(ValueError):  # noqa: PT011  # each says something else
        replace(one, **change)  # type: ignore[arg-type]


def sums(
    space: SearchSpace, configuration: Configuration, call_ms: float | None
) -> tuple[np.ndarray, TableSum]:
    """Milliseconds of each workload, and the sum over them and the call."""
    ms = np.random.default_rng(0).uniform(1, 2, len(space.workloads))
    stated = [Stated(w.key, float(t), 0.5, 2) for w, t in zip(space.workloads, ms, strict=True)]
    if call_ms is not None:
        stated.append(Stated(CALL.key, call_ms, None, 2))
    table = record(*stated).table(1)
    return ms, TableSum(space, replace(table, configuration=configuration))


def test_an_imported_table_without_a_call_is_summed_as_it_is(digits_space: SearchSpace) -> None:
    X = digits_space.sample(50, np.random.default_rng(1))
    counts = digits_space.count_workloads(X)
    ms, without = sums(digits_space, CONFIGURATION, None)
    np.testing.assert_allclose(without.mean(X), counts @ ms)
    np.testing.assert_allclose(without.predict(X).std, 0.5 * np.sqrt(counts.power(2).sum(axis=1)))
    ms, with_call = sums(digits_space, CONFIGURATION, 0.25)
    np.testing.assert_allclose(with_call.mean(X), counts @ (ms - 0.25) + 0.25)


def test_a_table_that_was_measured_here_needs_its_call(digits_space: SearchSpace) -> None:
    measured = replace(CONFIGURATION, runtime="tvm")
    with pytest.raises(MissingWorkloadError, match=r"1 of 16 workloads.*\(first: call"):
        sums(digits_space, measured, None)


def ofa_row(**changes: str) -> dict[str, str]:
    cells = (BLOCK, "1.0", "0.01", "MBConv", "112x112x16", "56x56x24", "3.0", "5.0", "2.0", "0", "")
    row = dict(zip(COLUMNS, cells, strict=True))
    return row | {"se": "0"} | changes


def test_rows_of_ofas_table_are_workloads_of_its_space() -> None:
    assert workload(ofa_row()).key == (
        "mb_block(width=16,to=24,expand=3,kernel=5,stride=2,se=0,h_swish=0)[1x16x112x112]f32"
    )
    swish = ofa_row(input="7x7x160", output="7x7x160", stride="1", idskip="1", se="1")
    assert "se=1,h_swish=1)[1x160x7x7]" in workload(swish).key
    layers = {
        "first_conv": ("224x224x3", "112x112x16"),
        "final_expand_layer": ("7x7x160", "7x7x960"),
        "feature_mix_layer": ("1x1x960", "1x1x1280"),
        "classifier": ("1280", "1000"),
    }
    keys = {
        workload(ofa_row(kind=kind, input=before, output=after)).key
        for kind, (before, after) in layers.items()
    }
    assert keys < {w.key for w in spaces.get("ofa-mobilenetv3").workloads}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "pool"}, "there is no kind 'pool'"),
        ({"input": "112x112"}, "'112x112' is no shape such as 112x112x16"),
        ({"output": "56x56x-24"}, "is no shape"),
        ({"output": "112x112x24"}, "a MBConv does not turn 112x112x16 into 112x112x24"),
        ({"output": "56x56x64"}, "no block of ofa-mobilenetv3 has 64 channels"),
        ({"kernel": "3.5"}, "kernel must be a whole number, but is '3.5'"),
        ({"expand": ""}, "expand must be a whole number, but is ''"),
        ({"idskip": "1"}, "idskip is 1"),
        ({"kind": "classifier", "input": "7x7x1280", "output": "1000"}, "does not turn"),
        ({"kind": "feature_mix_layer", "input": "2x2x960", "output": "1x1x1280"}, "does not turn"),
        ({"mean": "0"}, "mean must be finite and positive"),
        ({"var": "-1"}, "var must be finite and not negative"),
    ],
)
def test_rows_that_are_none_of_ofas_are_refused(
    tmp_path: Path, changes: dict[str, str], message: str
) -> None:
    rows = [",".join(row[c] for c in COLUMNS) for row in (ofa_row(), ofa_row(**changes))]
    path = write(tmp_path, "\n".join([",".join(COLUMNS), *rows]))
    with pytest.raises(RecipeError, match=f"line 3: .*{message}"):
        foreign.read(path)


def test_a_table_of_ofas_columns_is_not_taken_for_the_published_one(tmp_path: Path) -> None:
    row = ",".join(ofa_row()[c] for c in COLUMNS)
    table = foreign.read(write(tmp_path, f"{','.join(COLUMNS)}\n{row}\n"))
    assert table.stated[0].std_ms == pytest.approx(0.1)
    assert table.batch == BATCH
    assert not table.provenance.keys() & SOURCE.keys()


@pytest.fixture
def published() -> Callable[[str], Path]:
    folder = data_folder()
    return lambda name: folder / name


@pytest.mark.data("ofa_mbv3_lut_i7_8700k.csv.gz", "ofa_mbv3_dynast_acc.parquet:lat_ms_i7_8700k_lut")
def test_the_published_table_of_ofa_gives_the_latencies_that_others_had_from_it(
    published: Callable[[str], Path], store: Store
) -> None:
    table = foreign.read(published("ofa_mbv3_lut_i7_8700k.csv.gz"))
    assert len(table.stated) == 4050
    taken = record_of(table.stated, table.provenance, CONFIGURATION, "any")
    assert store.take_in(taken) == 4050
    assert store.take_in(taken) == 0
    held = store.record(CONFIGURATION, "i7-8700K", "any")
    assert held.provenance["source"] == "mikelzc1990/nsganetv2@04c495a data/i7-8700K_lut.yaml"
    assert held.provenance["licence"] == "Apache-2.0"
    assert len(held.table(1).entries) == 4050

    frame = pd.read_parquet(published("ofa_mbv3_dynast_acc.parquet"))
    space = spaces.get("ofa-mobilenetv3", resolution=224)
    columns = [variable.name for variable in space.variables]
    choices = [np.array([int(c) for c in v.choices]) for v in space.variables]
    X = np.column_stack(
        [np.searchsorted(of, frame[name]) for name, of in zip(columns, choices, strict=True)]
    )
    np.testing.assert_array_equal(
        np.column_stack([of[x] for x, of in zip(X.T, choices, strict=True)]), frame[columns]
    )
    predicted = TableSum(space, held.table(1)).mean(space.repair(X))
    np.testing.assert_allclose(predicted, frame["lat_ms_i7_8700k_lut"], atol=1e-3, rtol=0)


@pytest.mark.data("ofa_mbv3_lut_i7_8700k.csv.gz")
def test_the_published_table_holds_every_width_and_resolution(
    published: Callable[[str], Path],
) -> None:
    table = foreign.read(published("ofa_mbv3_lut_i7_8700k.csv.gz"))
    keys = {one.key for one in table.stated}
    used = set[str]()
    for width_mult in (1.0, 1.2):
        for resolution in range(96, 257, 4):
            space = spaces.get("ofa-mobilenetv3", width_mult=width_mult, resolution=resolution)
            used |= {w.key for w in space.workloads}
    assert keys == used
