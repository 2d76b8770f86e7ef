import gzip
import os
import tracemalloc
from pathlib import Path

import pytest

from tailorbird.errors import RecipeError
from tailorbird.storage.foreign import bounded_file


def test_a_file_of_just_as_many_bytes_as_it_may_have_is_read(tmp_path: Path) -> None:
    file = tmp_path / "some.csv"
    file.write_bytes(b"x" * 1000)
    assert bounded_file.read(file, 1000) == b"x" * 1000
    with pytest.raises(RecipeError, match=r"may have .* MiB, but '.*some\.csv' has 0\.0"):
        bounded_file.read(file, 999)


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "hole.csv"
    with file.open("wb") as hole:
        hole.truncate(2**40)
    tracemalloc.start()
    with pytest.raises(RecipeError, match=r"may have 64 MiB, but .* has 1,048,576"):
        bounded_file.read(file)
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


def test_what_gzip_packed_is_unpacked_no_further_than_it_may_be_long(tmp_path: Path) -> None:
    path = tmp_path / "bomb.csv.gz"
    plain = b"key,ms\n" + bytes(30 * 2**20)
    packed = gzip.compress(plain)
    assert bounded_file.unpacked(packed, path, len(plain)) == plain
    tracemalloc.start()
    with pytest.raises(RecipeError, match=r"may have 1 MiB, but '.*bomb\.csv\.gz' unpacks to more"):
        bounded_file.unpacked(packed, path, 2**20)
    assert tracemalloc.get_traced_memory()[1] < 2**23
    tracemalloc.stop()


@pytest.mark.parametrize("packed", [b"key,ms\n", gzip.compress(b"key,ms\n", mtime=0)[:-5]])
def test_what_gzip_did_not_pack_is_refused(packed: bytes) -> None:
    with pytest.raises(RecipeError, match="is torn, or not compressed by gzip"):
        bounded_file.unpacked(packed, Path("a.csv.gz"))


def test_what_is_no_plain_file_is_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    for path, reason in [
        (pipe, "is a pipe"),
        (Path("/dev/zero"), "a device"),
        (tmp_path, "is a folder"),
        (tmp_path / "none.csv", "No such file"),
        (tmp_path / ("x" * 300), "File name too long"),
        (tmp_path / "a\0b.csv", "cannot be read"),
    ]:
        with pytest.raises(RecipeError, match=reason):
            bounded_file.read(path)
