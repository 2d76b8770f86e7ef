"""Parquet of others: no more is unpacked than fits, and nothing in it ends the process."""

import io
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from tailorbird.storage.foreign import bounded_parquet

MIB = 2**20


def packed(table: pa.Table) -> bytes:
    file = io.BytesIO()
    parquet.write_table(table, file, compression="zstd", write_page_checksum=True)
    return file.getvalue()


def table(n: int = 100) -> pa.Table:
    return pa.table(
        {
            "text": pa.array([f"text {i % 7}" for i in range(n)]),
            "list": pa.array([[1.0] * (i % 3) for i in range(n)], pa.list_(pa.float64())),
            "whole": pa.array(range(n), pa.int16()),
        }
    ).replace_schema_metadata({"a": "b"})


def test_what_was_written_is_read_with_its_metadata() -> None:
    read = bounded_parquet.read(packed(table()), MIB)
    assert read.to_pylist() == table().to_pylist()
    assert read.schema.metadata == {b"a": b"b"}
    some = bounded_parquet.read(packed(table()), MIB, ["whole", "text"])
    assert some.equals(table().select(["text", "whole"]))


@pytest.mark.parametrize(
    "bomb",
    [
        pa.table({"zeros": pa.array(np.zeros(3 * MIB))}),
        pa.table({"text": pa.array(["x" * 10_000] * 2_000)}),
        pa.table({"text": pa.array([b"x" * 10_000] * 2_000)}),
        pa.table({"list": pa.ListArray.from_arrays([0, 3 * MIB], pa.array(np.ones(3 * MIB)))}),
    ],
    ids=["numbers", "texts", "bytes", "one long list"],
)
def test_a_small_file_that_unpacks_to_much_is_refused(bomb: pa.Table) -> None:
    content = packed(bomb)
    assert len(content) < MIB / 10
    with pytest.raises(ValueError, match=r"it unpacks to \d+ MiB, but a table may have 16"):
        bounded_parquet.read(content, 16 * MIB)
    assert bounded_parquet.read(content, 100 * MIB).num_rows == bomb.num_rows


@pytest.mark.parametrize("columns", [[], ["whole"], ["text", "list"]])
def test_no_flipped_bit_of_its_footer_ends_the_process(columns: list[str]) -> None:
    """With pyarrow 26, asking for the metadata of a damaged chunk does, read or not."""
    done = subprocess.run(
        [sys.executable, "-c", FLIPS, *columns],
        input=packed(table()),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    n_told, n_read = map(int, done.stdout.split())
    assert n_told > 0
    assert columns or n_told > n_read


FLIPS = """
import sys
import numpy as np
import pyarrow as pa
from tailorbird.storage.foreign import bounded_parquet
whole = sys.stdin.buffer.read()
rng = np.random.default_rng(0)
n_told = n_read = 0
for _ in range(3000):
    flipped = bytearray(whole)
    flipped[int(rng.integers(len(whole) // 2, len(whole)))] ^= 1 << int(rng.integers(8))
    try:
        bounded_parquet.read(bytes(flipped), 2**20, sys.argv[1:] or None)
        n_read += 1
    except (pa.ArrowException, OSError, ValueError, MemoryError):
        n_told += 1
print(n_told, n_read)
"""
