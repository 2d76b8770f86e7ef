from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from _pytest.mark.structures import ParameterSet

from tailorbird import spaces
from tailorbird.errors import RecipeError
from tailorbird.latency_tables.tables.price import LONGEST_MS, SHORTEST_MS
from tailorbird.published.data_folder import data_folder
from tailorbird.published.rows import PublishedRows, published_rows
from tailorbird.published.typed_table import MS
from tailorbird.spaces.cells import NasBench201
from tailorbird.spaces.footprint import count_macs

SPACE = NasBench201()
NAMES = [variable.name for variable in SPACE.variables]
FILE = "nb201_help_mini.parquet"

# The second and the third are one architecture: node 1 leads nowhere.
ROWS = [[3, 3, 4, 1, 3, 1], [3, 0, 0, 1, 0, 0], [4, 0, 0, 1, 0, 0]]


def table(rows: list[list[int]] = ROWS) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=NAMES, dtype=np.int8)
    frame["index"] = range(len(rows))
    frame["arch_str"] = "text"
    frame["lat_ms_board"] = np.arange(1, 1 + len(rows), dtype=np.float32)
    frame["c10_val_12ep"] = 50.0
    return frame


def published(frame: pd.DataFrame, folder: Path) -> PublishedRows:
    frame.to_parquet(folder / FILE)
    return published_rows(SPACE, folder)


def test_rows_of_one_architecture_are_averaged(tmp_path: Path) -> None:
    found = published(table(), tmp_path)
    assert (found.space, found.source) == (SPACE.name, FILE)
    assert found.X.tolist() == [[0, 0, 0, 1, 0, 0], ROWS[0]]
    assert found.n_rows.tolist() == [2, 1]
    assert found.column("lat_ms_board").tolist() == [2.5, 1.0]
    assert found.devices == ("lat_ms_board",)
    assert list(found.values) == ["lat_ms_board", "c10_val_12ep"]


def test_published_latencies_have_the_limits_of_measured_ones() -> None:
    """The rooms of both know no other that could hold the limits for both."""
    assert (MS.least, MS.most) == (SHORTEST_MS, LONGEST_MS)
    assert MS.says == f"a latency, {SHORTEST_MS:g} to {LONGEST_MS:g} ms"


def test_the_order_of_columns_and_rows_does_not_matter(tmp_path: Path) -> None:
    found = published(table().iloc[::-1, ::-1], tmp_path)
    assert found.X.tolist() == [[0, 0, 0, 1, 0, 0], ROWS[0]]
    assert found.column("lat_ms_board").tolist() == [2.5, 1.0]


def test_unknown_columns_are_refused_with_the_nearest(tmp_path: Path) -> None:
    found = published(table(), tmp_path)
    with pytest.raises(RecipeError, match=r"no column 'lat_ms_bord'.*did you mean 'lat_ms_board'"):
        found.column("lat_ms_bord")


def test_missing_measurements_are_refused_where_they_are_asked_for(tmp_path: Path) -> None:
    frame = table()
    frame.loc[1, "lat_ms_board"] = np.nan  # its twin has one: no mean of what is left
    found = published(frame, tmp_path)
    with pytest.raises(RecipeError, match=r"1 of 2 have none \(first: row 2 of the file\)"):
        found.column("lat_ms_board")
    assert found.column("c10_val_12ep").tolist() == [50.0, 50.0]


def test_files_that_are_not_there_are_told(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=f"{FILE}' cannot be read .there is no such file"):
        published_rows(SPACE, tmp_path)


def test_files_that_are_no_tables_are_told(tmp_path: Path) -> None:
    for content in (b"no table", b""):
        (tmp_path / FILE).write_bytes(content)
        with pytest.raises(RecipeError, match="cannot be read"):
            published_rows(SPACE, tmp_path)


def test_a_torn_file_is_told_wherever_it_is_torn(tmp_path: Path) -> None:
    table().to_parquet(tmp_path / FILE, write_page_checksum=True)
    whole = (tmp_path / FILE).read_bytes()
    for n in range(0, len(whole), len(whole) // 20):
        (tmp_path / FILE).write_bytes(whole[:n])
        with pytest.raises(RecipeError, match="cannot be read"):
            published_rows(SPACE, tmp_path)


def test_a_small_file_that_unpacks_to_gigabytes_is_not_unpacked(tmp_path: Path) -> None:
    texts = pa.array(["x" * 10_000] * 7_000)  # which Parquet holds once
    pq.write_table(pa.table({"arch_str": texts}), tmp_path / FILE)
    assert (tmp_path / FILE).stat().st_size < 10_000
    with pytest.raises(RecipeError, match="unpacks to 67 MiB, but a table may have 64"):
        published_rows(SPACE, tmp_path)
    zeros = pa.array(np.zeros(10_000_000))
    pq.write_table(pa.table({"lat_ms_board": zeros}), tmp_path / FILE, compression="zstd")
    with pytest.raises(RecipeError, match="unpacks to 76 MiB"):
        published_rows(SPACE, tmp_path)


def changed(column: str, value: float) -> pd.DataFrame:
    """The table, of which the second row has another value."""
    frame = table()
    frame[column] = frame[column].astype(float)
    frame.loc[1, column] = value
    return frame


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (table([]), "There is no network in"),
        (table().drop(columns="op_0_3"), "the column op_0_3 is missing; did you mean"),
        (
            table([*ROWS, [0, 0, 0, 5, 0, 0]]),
            r"\(row 4, op_0_3: must be one of 0, 1, 2, 3, 4, but is 5\)",
        ),
        (table([[0, 0, 0, -1, 0, 0]]), "row 1, op_0_3: must be one of .*but is -1"),
        (changed("op_0_3", 1.5), r"row 2, op_0_3: must be one of .*, but is 1\.5"),
        (changed("op_0_3", np.nan), "row 2, op_0_3: must be one of .*, but is missing"),
        (table().astype({"op_0_3": str}), "row 1, op_0_3: must be one of .*, but is '1'"),
        (changed("c10_val_12ep", 8204.0), "row 2, c10_val_12ep: must be per cent, 0 to 100, but"),
        (changed("c10_val_12ep", -0.1), "row 2, c10_val_12ep: must be per cent"),
        (changed("lat_ms_board", np.inf), "row 2, lat_ms_board: must be a latency, .* but is inf"),
        (changed("lat_ms_board", 0.0), "row 2, lat_ms_board: must be a latency"),
        (table().astype({"lat_ms_board": str}), "row 1, lat_ms_board: must be .* but is '1.0'"),
        (table().assign(lat_ms_board=True), "row 1, lat_ms_board: must be .* but is True"),
        (changed("index", 0), "row 2 is row 1 again"),
    ],
)
def test_tables_that_do_not_fit_are_refused(
    frame: pd.DataFrame, message: str, tmp_path: Path
) -> None:
    with pytest.raises(RecipeError, match=message):
        published(frame, tmp_path)


def test_texts_are_looked_up(tmp_path: Path) -> None:
    space = spaces.get("ofa-mobilenetv3")
    frame = pd.DataFrame({v.name: [int(v.choices[-1])] * 2 for v in space.variables})
    frame["top1"] = [70.0, 71.0]
    path = tmp_path / "ofa_mbv3_dynast_acc.parquet"
    frame.to_parquet(path)
    found = published_rows(space, tmp_path)
    largest = [[len(v.choices) - 1 for v in space.variables]]
    np.testing.assert_array_equal(found.X, space.repair(np.array(largest)))
    assert found.column("top1").tolist() == [70.5]
    frame.assign(ks00=9).to_parquet(path)
    with pytest.raises(RecipeError, match="row 1, ks00: must be one of 3, 5, 7, but is 9"):
        published_rows(space, tmp_path)


def test_what_was_published_for_other_settings_is_refused(tmp_path: Path) -> None:
    space = spaces.get("ofa-mobilenetv3", resolution=192)
    with pytest.raises(RecipeError, match=r"with width_mult=1\.0 and resolution=224, but this"):
        published_rows(space, tmp_path)


def test_spaces_of_which_nothing_is_published_are_told(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="Nothing is published for 'digits-resnet'"):
        published_rows(spaces.get("digits-resnet"), tmp_path)


def of_table(file: str, *values: object) -> ParameterSet:
    return pytest.param(*values, marks=pytest.mark.data(file))


@pytest.mark.parametrize(
    ("name", "n", "n_rows", "n_devices"),  # at least: tables may hold some rows and devices back
    [
        of_table("fbnet_help.parquet", "fbnet", 5000, 5000, 19),
        of_table("nasbench_macro.parquet", "macro-mobilenetv2", 3969, 6561, 0),
        of_table(FILE, "nasbench201", 9445, 15625, 19),
        of_table("ofa_mbv3_dynast_acc.parquet", "ofa-mobilenetv3", 1722, 1890, 0),
    ],
)
def test_every_published_row_is_in_its_space(
    name: str, n: int, n_rows: int, n_devices: int
) -> None:
    space = spaces.get(name, batch=2)
    found = published_rows(space, data_folder())
    assert len(np.unique(found.X, axis=0)) == len(found.X) == len(found.values) >= n
    assert found.n_rows.sum() >= n_rows
    assert len(found.devices) >= n_devices
    np.testing.assert_array_equal(space.repair(found.X), found.X)
    assert space.count_workloads(found.X).shape == (len(found.X), len(space.workloads))
    for column in map(str, found.values):
        assert (found.column(column) >= 0).all()


@pytest.mark.data(FILE)
def test_cells_are_written_as_published() -> None:
    frame = pd.read_parquet(data_folder() / FILE)
    X = frame[NAMES].to_numpy(np.int64)
    canonical = (SPACE.repair(X) == X).all(axis=1)
    assert canonical.sum() == SPACE.size
    texts = [SPACE.describe(row) for row in X[canonical]]
    assert texts == frame.loc[canonical, "arch_str"].tolist()


@pytest.mark.data(f"{FILE}:c100_val_12ep")
def test_means_are_those_of_a_slow_search() -> None:
    frame = pd.read_parquet(data_folder() / FILE)
    repaired = SPACE.repair(frame[NAMES].to_numpy(np.int64))
    found = published_rows(SPACE, data_folder())
    several = np.flatnonzero(found.n_rows > 1)
    for i in [*several[::20], *np.flatnonzero(found.n_rows == 1)[::1000]]:
        same = frame[(repaired == found.X[i]).all(axis=1)]
        assert len(same) == found.n_rows[i]
        for column in ("c100_val_12ep", "lat_ms_pixel3"):
            mean = same[column].astype(float).mean()
            assert found.column(column)[i] == pytest.approx(mean, rel=1e-12)


@pytest.mark.parametrize(
    ("name", "column"),
    [
        of_table("nasbench_macro.parquet", "macro-mobilenetv2", "flops"),
        of_table("ofa_mbv3_dynast_acc.parquet", "ofa-mobilenetv3", "macs"),
    ],
)
def test_networks_have_the_published_macs(name: str, column: str) -> None:
    space = spaces.get(name)
    found = published_rows(space, data_folder())
    np.testing.assert_array_equal(count_macs(space, found.X), found.column(column))
