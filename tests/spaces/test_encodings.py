import os
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from tailorbird.errors import EncodingError
from tailorbird.spaces import IntArray, encodings
from tailorbird.spaces.stitching import StitchSpace


def write(path: Path, space: StitchSpace, X: IntArray) -> pd.DataFrame:
    frame = pd.DataFrame(X, columns=[variable.name for variable in space.variables])
    frame.to_parquet(path, index=False)
    return frame


def test_rows_come_back_once_each_in_their_order(tiny_space: StitchSpace, tmp_path: Path) -> None:
    X = next(tiny_space.enumerate())[::-1]
    write(tmp_path / "x.parquet", tiny_space, np.concatenate([X, X[:3]]))
    np.testing.assert_array_equal(encodings.read(tmp_path / "x.parquet", tiny_space), X)


def test_rows_are_made_canonical(tiny_space: StitchSpace, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    most = [len(variable.choices) for variable in tiny_space.variables]
    X = rng.integers(0, most, size=(50, len(most)))
    write(tmp_path / "x.parquet", tiny_space, X)
    read = encodings.read(tmp_path / "x.parquet", tiny_space)
    assert {tuple(row) for row in read} == {tuple(row) for row in tiny_space.repair(X)}
    tiny_space.count_workloads(read)  # refuses what is not canonical


def test_other_columns_and_narrow_types_do_no_harm(tiny_space: StitchSpace, tmp_path: Path) -> None:
    X = tiny_space.landmarks
    frame = write(tmp_path / "x.parquet", tiny_space, X)
    frame.astype("int8").assign(note="from a search").to_parquet(tmp_path / "x.parquet")
    np.testing.assert_array_equal(encodings.read(tmp_path / "x.parquet", tiny_space), X)


def test_what_does_not_fit_is_named_in_one_sentence(
    tiny_space: StitchSpace, tmp_path: Path
) -> None:
    path = tmp_path / "x.parquet"
    good = write(path, tiny_space, tiny_space.landmarks)
    first = tiny_space.variables[0]
    most = len(first.choices) - 1
    cases = [
        (good.drop(columns=first.name), f"{first.name!r} is missing"),
        (good.head(0), "no networks"),
        (good.assign(**{first.name: most + 1}), f"<= {most}` must hold .* row 0 has {most + 1}"),
        (good.assign(**{first.name: -1}), "row 0 has -1"),
        (good.astype("float64"), "whole numbers"),
        (good.astype("Int64").shift(), "missing"),
    ]
    for frame, message in cases:
        frame.to_parquet(path)
        with pytest.raises(EncodingError, match=message) as caught:
            encodings.read(path, tiny_space)
        assert "\n" not in str(caught.value)


def test_neither_pipes_nor_what_unpacks_to_gigabytes_is_read(
    tiny_space: StitchSpace, tmp_path: Path
) -> None:
    path = tmp_path / "x.parquet"
    names = [variable.name for variable in tiny_space.variables]
    zeros = pa.repeat(pa.scalar(0), 10_000_000)
    parquet.write_table(pa.table(dict.fromkeys(names, zeros)), path, compression="zstd")
    assert path.stat().st_size < 200_000
    with pytest.raises(EncodingError, match=r"unpacks to .* MiB, but a table may have 64"):
        encodings.read(path, tiny_space)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(EncodingError, match="it is no plain file"):
        encodings.read(path, tiny_space)


@pytest.mark.parametrize("content", [None, b"", b"PAR1 and no more"])
def test_a_file_that_is_none_is_refused(
    tiny_space: StitchSpace, tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "x.parquet"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(EncodingError, match="cannot be read") as caught:
        encodings.read(path, tiny_space)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_said_to_be_missing(
    tiny_space: StitchSpace, tmp_path: Path
) -> None:
    with pytest.raises(EncodingError, match="No such file"):
        encodings.read(tmp_path / "x.parquet", tiny_space)
