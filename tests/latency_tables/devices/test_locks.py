"""Locks between real processes, users included where the tests may change user."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import pytest
from filelock import Timeout
from patience import PATIENCE_S

from tailorbird.errors import LockError
from tailorbird.latency_tables.devices.locks import file_lock, seat, timing_lock

pytestmark = pytest.mark.usefixtures("locks_of_its_own")

HOLD = """
import os, sys
from tailorbird.errors import LockError
from tailorbird.latency_tables.devices.locks import seat, timing_lock
os.setuid({user})
try:
    with {what} as name:
        print(name, flush=True)
        sys.stdin.readline()
except LockError as error:
    print(error)
"""
VICTIM, ATTACKER = 54321, 54322
PLANTS: dict[str, Callable[[Path, Path], None]] = {
    "link": lambda path, victim: path.symlink_to(victim),
    "link to nothing": lambda path, victim: path.symlink_to(victim.with_name("nothing")),
    "second name": lambda path, victim: path.hardlink_to(victim),
    "folder": lambda path, victim: path.mkdir(),
    "pipe": lambda path, victim: os.mkfifo(path),
}


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


@pytest.fixture
def folder() -> Path:
    """Of locks, which the first one makes."""
    return Path(os.environ["XDG_RUNTIME_DIR"]) / "tailorbird"


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


def test_the_living_have_seats_of_their_own_and_the_dead_leave_theirs() -> None:
    with seat() as first, seat() as second:
        assert first != second
    with seat() as again:
        assert again == first
    killed = hold("seat()")
    assert first_line(killed) == first
    with seat() as beside:
        assert beside == second
    killed.kill()
    killed.communicate()
    with seat() as heir:
        assert heir == first


@pytest.mark.parametrize("torn", [7, 50])
def test_a_torn_name_is_replaced(torn: int, folder: Path) -> None:
    with seat() as name:
        pass
    (folder / "seat-0").write_text((2 * name)[:torn])
    with seat() as fresh:
        assert len(fresh) == len(name)
    assert (folder / "seat-0").read_text() == fresh


def test_locks_are_for_this_user_alone(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o777)
    with timing_lock("local"), seat():
        assert folder.stat().st_mode & 0o777 == 0o700
        assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_a_name_that_is_a_path_stays_in_the_folder(folder: Path) -> None:
    for name in ("../../" + 300 * "long", "a\0b", 200 * "ü"):
        with timing_lock(name):
            pass
    assert len(list(folder.iterdir())) == 3


@pytest.mark.parametrize("plant", PLANTS)
def test_locks_beside_shared_files_are_plain_files_as_well(plant: str, tmp_path: Path) -> None:
    victim, lock = tmp_path / "precious", tmp_path / ".lock"
    victim.write_text("precious")
    PLANTS[plant](lock, victim)
    with pytest.raises(LockError, match=r"must be a plain file.*not to be used"):
        file_lock(lock, timeout_s=0).__enter__()
    assert victim.read_text() == "precious"
    lock.rmdir() if plant == "folder" else lock.unlink()
    with file_lock(lock, timeout_s=0), pytest.raises(Timeout):
        file_lock(lock, timeout_s=0).__enter__()


def test_without_a_home_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("XDG_RUNTIME_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", "relative")
    with pytest.raises(LockError, match=r"no home is known.*XDG_RUNTIME_DIR"):
        seat().__enter__()


@pytest.mark.parametrize("asked", ["", "relative", "{tmp}/nowhere", "{tmp}/open"])
def test_without_a_private_runtime_folder_locks_lie_in_the_cache(
    asked: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    monkeypatch.setenv("XDG_RUNTIME_DIR", asked.format(tmp=tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "relative, so not taken")
    monkeypatch.setenv("HOME", str(tmp_path))
    with seat():
        assert (tmp_path / ".cache/tailorbird/locks/seat-0").is_file()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with seat():
        assert (tmp_path / "cache/tailorbird/locks/seat-0").is_file()
    assert not list((tmp_path / "open").iterdir())


@pytest.mark.parametrize("held", [seat, partial(timing_lock, "local")])
@pytest.mark.parametrize("plant", PLANTS)
def test_what_is_no_plain_file_is_refused_in_one_sentence(
    plant: str, held: Callable[[], AbstractContextManager[object]], folder: Path, tmp_path: Path
) -> None:
    victim = tmp_path / "precious"
    victim.write_text("precious")
    with held():
        (lock,) = folder.iterdir()
    lock.unlink()
    PLANTS[plant](lock, victim)
    with pytest.raises(LockError, match=r"must be a plain file of this user.*not to be used") as e:
        held().__enter__()
    assert str(lock) in str(e.value)
    assert victim.read_text() == "precious"
    assert not victim.with_name("nothing").exists()


@pytest.mark.parametrize("plant", [name for name in PLANTS if name != "folder"])
def test_a_folder_of_locks_that_is_none_is_refused(
    plant: str, folder: Path, tmp_path: Path
) -> None:
    victim = tmp_path / "precious"
    victim.write_text("precious")
    PLANTS[plant](folder, victim)
    with pytest.raises(LockError, match=r"must be a plain folder of this user.*XDG_RUNTIME_DIR"):
        seat().__enter__()


def test_a_link_to_a_folder_is_not_followed(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    folder.symlink_to(tmp_path / "other")
    with pytest.raises(LockError, match="must be a plain folder"):
        timing_lock("local").__enter__()
    assert not list((tmp_path / "other").iterdir())


@pytest.fixture
def public_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Like /tmp, for temporary and runtime files: all may write, and only remove what is theirs."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        Path(name).chmod(0o1777)
        for variable in ("TMPDIR", "XDG_RUNTIME_DIR"):
            monkeypatch.setenv(variable, name)
        monkeypatch.setenv("HOME", f"{name}/home")
        yield Path(name)


@pytest.mark.skipif(os.getuid() != 0, reason="only root may become another user")
def test_what_another_user_planted_in_a_public_folder_changes_nothing(public_folder: Path) -> None:
    home = public_folder / "home"
    home.mkdir()
    precious = home / "precious"
    precious.write_text("precious, and long enough to hold what a seat would write into it")
    names = [f"tailorbird-{VICTIM}", "tailorbird", "tailorbird-local.lock"]
    for name in names[:2]:
        (public_folder / name).mkdir(mode=0o700)
        (public_folder / name / "seat-0").symlink_to(precious)
        os.chown(public_folder / name, ATTACKER, ATTACKER)
    (public_folder / names[2]).symlink_to(precious)
    for path in (home, precious):
        os.chown(path, VICTIM, VICTIM)
    before = precious.read_text()
    for what in ("seat()", "timing_lock('local')"):
        process = hold(what, user=VICTIM)
        told, _ = process.communicate("\n", timeout=PATIENCE_S)
        assert process.returncode == 0
        assert "not to be used" not in told
    assert precious.read_text() == before
    assert {path.name for path in public_folder.iterdir()} == {"home", *names}
    assert (home / ".cache/tailorbird/locks").stat().st_uid == VICTIM


@pytest.mark.skipif(os.getuid() != 0, reason="only root may become another user")
def test_a_folder_of_another_user_is_refused(folder: Path) -> None:
    folder.mkdir()
    os.chown(folder, ATTACKER, ATTACKER)
    with pytest.raises(LockError, match="it is another user's"):
        seat().__enter__()
    os.chown(folder, 0, 0)
    (folder / "seat-0").touch()
    os.chown(folder / "seat-0", ATTACKER, ATTACKER)
    with pytest.raises(LockError, match="it is another user's"):
        seat().__enter__()


def test_a_folder_that_cannot_be_made_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(LockError, match=r"Not a directory.*XDG_RUNTIME_DIR"):
        seat().__enter__()
