"""Files that take their names when all of them is there: full disks, odd targets, kills."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from killed_writer import killed

from tailorbird.errors import FullDiskError, WriteError
from tailorbird.storage import atomic
from tailorbird.storage.atomic import written


@contextmanager
def a_full_disk() -> Iterator[None]:
    """Lets no file of this process grow beyond a hundred bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_that_does_not_fit_leaves_what_stood_there(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    atomic.write(path, "old")
    with a_full_disk(), pytest.raises(FullDiskError, match=r"table\.csv.*File too large\. Make"):
        atomic.write(path, b"x" * 1000)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["table.csv"]


def test_files_that_belong_together_are_all_written_or_none(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    atomic.write(first, "old")

    def both() -> None:
        with written(first, second) as parts:
            parts[0].write_text("new")
            parts[1].write_bytes(b"x" * 1000)

    with a_full_disk(), pytest.raises(FullDiskError):
        both()
    assert first.read_text() == "old"
    second.mkdir()  # the second target is a folder
    with pytest.raises(WriteError, match=r"second' cannot be written: Is a directory"):
        both()
    assert first.read_text() == "old"
    assert names(tmp_path) == ["first", "second"]


def test_errors_that_are_none_of_writing_pass_and_leave_nothing(tmp_path: Path) -> None:
    def half() -> None:
        with written(tmp_path / "a") as (part,):
            part.write_text("half")
            raise KeyError

    with pytest.raises(KeyError):
        half()
    assert not names(tmp_path)


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("file/below", "Not a directory"),
        ("n" * 300, "File name too long"),
        ("", "Is a directory"),
        ("a\x1b[2J", "its name holds control characters"),
    ],
)
def test_places_that_cannot_be_written_are_refused_in_a_sentence(
    target: str, reason: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteError, match=f"{reason}. Name a place where you may write."):
        atomic.write(tmp_path / target, "text")
    assert names(tmp_path) == ["file"]


def test_permissions_are_those_of_any_new_file_whatever_wrote_it(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    with written(tmp_path / "safe") as (part,):
        part.chmod(0o600)
    assert (tmp_path / "safe").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("name", ["a" * 255, "ä" * 127])
def test_names_may_be_as_long_as_the_file_system_lets_them(tmp_path: Path, name: str) -> None:
    target = tmp_path / name
    killed([target], "torn", n_renamed=0)
    atomic.write(target, "text")
    assert names(tmp_path) == [name]


def test_a_link_leads_to_the_file_that_is_written(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    atomic.write(tmp_path / "link", "text")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "elsewhere").read_text() == "text"


def test_neither_a_pipe_nor_a_link_without_end_is_replaced_by_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "to-pipe").symlink_to("pipe")
    (tmp_path / "loop").symlink_to("loop")
    before = names(tmp_path)
    for name in ("pipe", "to-pipe"):
        with (
            pytest.raises(WriteError, match=f"{name}.*is a pipe, a socket or a device. Name a"),
            written(tmp_path / "other", tmp_path / name),
        ):
            pass
    with pytest.raises(WriteError, match=r"loop.*Too many levels of symbolic links. Name a place"):
        atomic.write(tmp_path / "loop", "text")
    assert names(tmp_path) == before
    assert (tmp_path / "pipe").is_fifo()


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_writes_is_not(
    tmp_path: Path,
) -> None:
    target = tmp_path / "a"
    killed([target], "text", n_renamed=0)
    assert [name.endswith(".part") for name in names(tmp_path)] == [True]
    ours = tmp_path / f".a.{os.getpid()}-01234567.part"
    ours.touch()
    atomic.write(target, "text")
    assert names(tmp_path) == sorted([ours.name, "a"])
