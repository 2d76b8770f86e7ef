"""Marks by which files know each other."""

import os
from pathlib import Path
from threading import Thread

import numpy as np
import pandas as pd
import pytest
import torch
from killed_writer import killed
from patience import PATIENCE_S
from safetensors import safe_open

from tailorbird.reports.write import _parquet
from tailorbird.storage import atomic, tensors
from tailorbird.storage.marks import MARK, mark_of, torn


def test_marks_tell_contents_apart_and_where_one_ends() -> None:
    assert mark_of(["ab", "c"]) != mark_of(["a", "bc"])
    assert mark_of(["a", b"b"]) == mark_of([b"a", "b"])


@pytest.mark.parametrize("n_renamed", [0, 1, 2])
def test_a_set_torn_by_a_kill_between_renames_is_told(n_renamed: int, tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.json", "b.json", "c.json")]
    old, new = mark_of(["old"]), mark_of(["new"])
    for first in (False, True):
        for path in paths:
            path.unlink(missing_ok=True)
            if not first:
                atomic.write(path, f'{{"{MARK}": "{old}"}}')
        killed(paths, f'{{"{MARK}": "{new}"}}', n_renamed=n_renamed)
        if n_renamed == 0:
            assert torn(paths) is None
        elif first:
            assert torn(paths) == f"{paths[n_renamed].name} is missing"
        else:
            assert torn(paths) == f"a.json and {paths[n_renamed].name} are of two runs"


def test_what_follows_a_mark_does_not_matter(tmp_path: Path) -> None:
    mark = mark_of(["a"])
    (tmp_path / "a").write_bytes(f"{MARK}\0{mark}".encode() + b"\xff\xff")
    (tmp_path / "b").write_bytes(f"{MARK}\0{mark}".encode() + b"a0")  # a checksum, as in PNG
    assert torn([tmp_path / "a", tmp_path / "b"]) is None


def test_files_that_are_older_than_marks_are_no_torn_set(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text("no mark")
    assert torn([tmp_path / "a", tmp_path / "b", tmp_path / "c"]) is None


def test_a_pipe_among_the_files_is_not_waited_for(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.json", "b.json")]
    atomic.write(paths[0], f'{{"{MARK}": "{mark_of(["a"])}"}}')
    os.mkfifo(paths[1])
    told: list[str | None] = []
    asked = Thread(target=lambda: told.append(torn(paths)), daemon=True)
    asked.start()
    asked.join(PATIENCE_S)
    assert told == ["a.json and b.json are of two runs"]


def test_the_same_tensors_give_the_same_bytes(tmp_path: Path) -> None:
    state = {f"part.{i}": torch.full((i + 1,), float(i)) for i in range(20)}
    metadata = {f"key {i} ü": f'value "{i}"' for i in range(20)}
    seen = set()
    for _ in range(5):
        tensors.write(tmp_path / "a.safetensors", state, metadata)
        seen.add((tmp_path / "a.safetensors").read_bytes())
    assert len(seen) == 1
    with safe_open(tmp_path / "a.safetensors", framework="pt") as file:
        assert file.metadata() == metadata
        for name, tensor in state.items():
            np.testing.assert_array_equal(file.get_tensor(name).numpy(), tensor.numpy())


def test_a_mark_in_a_table_is_no_column(tmp_path: Path) -> None:
    table = pd.DataFrame({"a": [1.0, np.nan], "b": ["x", "y"]})
    for name, content in (("a", "one"), ("b", "two")):
        (tmp_path / name).write_bytes(_parquet(table, mark_of([content])))
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "a"), table)
    assert torn([tmp_path / "a", tmp_path / "b"]) == "a and b are of two runs"


def test_a_name_that_no_file_can_have_is_of_no_set(tmp_path: Path) -> None:
    assert torn([tmp_path / ("x" * 300), tmp_path / "y"]) is None
