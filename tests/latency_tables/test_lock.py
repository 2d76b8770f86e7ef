"""Locks between real processes, users included where the tests may change user."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tailorbird.latency_tables.lock import seat, timing_lock

pytestmark = pytest.mark.usefixtures("locks_of_its_own")

HOLD = """
import os, sys
from tailorbird.latency_tables.lock import seat, timing_lock
os.setuid({user})
with {what} as name:
    print(name, flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def public_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Like /tmp: all may write, and only remove what is theirs."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o1777)
        monkeypatch.setenv("TMPDIR", folder)
        monkeypatch.setattr(tempfile, "tempdir", None)
        yield Path(folder)


def hold(what: str, user: int = os.getuid()) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HOLD.format(what=what, user=user)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_one_process_holds_the_timing_lock_and_death_frees_it() -> None:
    first = hold("timing_lock('local')")
    assert first_line(first) == "None"
    second = hold("timing_lock('local')")
    other = hold("timing_lock('other')")
    assert first_line(other) == "None"  # another device is another lock
    with pytest.raises(subprocess.TimeoutExpired):
        second.wait(0.5)
    first.kill()
    assert first_line(second) == "None"
    for process in (first, second, other):
        process.kill()
        process.communicate()


@pytest.mark.skipif(os.getuid() != 0, reason="only root may become another user")
def test_users_wait_for_one_another(public_folder: Path) -> None:
    stranger = 54321
    with timing_lock("local"):
        second = hold("timing_lock('local')", user=stranger)
        with pytest.raises(subprocess.TimeoutExpired):
            second.wait(0.5)
    assert first_line(second) == "None"
    second.communicate("\n")
    assert second.returncode == 0
    third = hold("timing_lock('strange')", user=stranger)
    assert first_line(third) == "None"
    third.communicate("\n")
    with timing_lock("strange"):
        assert (public_folder / "tailorbird-strange.lock").stat().st_uid == stranger


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
def test_a_lock_that_cannot_be_read_is_replaced_by_one_of_ones_own(
    public_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (public_folder / "tailorbird-local.lock").touch(mode=0)
    with timing_lock("local"):
        assert "may overlap" in caplog.text
        assert (public_folder / f"tailorbird-local.{os.getuid()}.lock").exists()


def test_the_living_have_seats_of_their_own_and_the_dead_leave_theirs(tmp_path: Path) -> None:
    with seat(tmp_path) as first, seat(tmp_path) as second:
        assert first != second
    with seat(tmp_path) as again:
        assert again == first
    killed = hold(f"seat(__import__('pathlib').Path({str(tmp_path)!r}))")
    assert first_line(killed) == first
    with seat(tmp_path) as beside:
        assert beside == second
    killed.kill()
    killed.communicate()
    with seat(tmp_path) as heir:
        assert heir == first


def test_a_torn_name_is_replaced(tmp_path: Path) -> None:
    with seat(tmp_path) as name:
        pass
    (tmp_path / "seat-0").write_text(name[:7])
    with seat(tmp_path) as fresh:
        assert len(fresh) == len(name)
