"""`tailorbird data get` against real servers: what it fetches, and every way to fail."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import mirrors
import pandas as pd
import pytest
from mirrors import CONTENTS, Fault, Mirror, toy

from tailorbird.published import fetching
from tailorbird.published.tables import TABLES

Tailorbird = Callable[..., tuple[int, str, str]]
ONE, TWO, THREE = CONTENTS


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    with mirrors.mirror() as made:
        yield made


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is not there yet, and a small table that may be fetched."""
    monkeypatch.setenv("TAILORBIRD_DATA", str(tmp_path / "new" / "data"))
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.delenv("TAILORBIRD_MIRROR", raising=False)
    monkeypatch.setitem(TABLES, "toy", toy())
    return tmp_path / "new" / "data"


def lying_in(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file()}


def told(err: str) -> str:
    """The line for the user; nothing but the bar of progress stands above it."""
    *above, line = err.strip().splitlines()
    assert line.startswith("tailorbird: ")
    assert all(text.startswith("toy") for text in above)
    assert "Traceback" not in err
    return line


def test_a_table_is_made_of_what_was_fetched(
    data: Path, mirror: Mirror, tailorbird: Tailorbird
) -> None:
    code, out, _ = tailorbird("data", "get", "toy", "toy", "--mirror", f"{mirror.url}/")
    assert code == 0
    assert out == f"toy: 3 rows are in {data / 'toy.csv.gz'}.\n"
    assert mirror.paths == [f"/o/r/{'c' * 40}/d/{name}" for name in CONTENTS]
    assert lying_in(data) == {*CONTENTS, "toy.csv.gz"}
    assert pd.read_csv(data / "toy.csv.gz")["size"].tolist() == [15_000, 15_000, 25_000]
    for name, content in CONTENTS.items():
        original = data / "originals/o/r/d" / name
        assert original.read_bytes() == content
        assert original.stat().st_mode & 0o777 == 0o644

    first = (data / "toy.csv.gz").read_bytes()
    code, out, err = tailorbird("data", "get", "toy", "--mirror", mirror.url)
    assert (code, err) == (0, "")
    assert "is there already; delete it to make it anew" in out
    (data / "toy.csv.gz").unlink()
    code, out, _ = tailorbird("data", "get", "toy", "--mirror", mirror.url)
    assert code == 0
    assert (data / "toy.csv.gz").read_bytes() == first
    assert len(mirror.paths) == 3  # whose originals stayed


FAULTS: dict[str, tuple[Fault, str]] = {
    "hash": (mirrors.garbled, "does not have the SHA-256"),
    "torn": (mirrors.torn, "the connection broke before all of it had come"),
    "killed": (mirrors.killed, "the connection broke before all of it had come"),
    "short": (mirrors.sized(14_999), "only 14999 of its 15000 bytes came"),
    "long": (mirrors.sized(15_001), "more came than the 15000 bytes that it has"),
    "endless": (mirrors.sized(30_000), "more came than the 15000 bytes that it has"),
    "404": (mirrors.status(404), "the host answered 404 Not Found"),
    "503": (mirrors.status(503), "the host answered 503 Service Unavailable"),
    "silent": (mirrors.silent, "nothing came for "),
    "stalled": (mirrors.stalled, "nothing came for "),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_of_a_host_are_told_and_what_came_before_stays(
    name: str,
    data: Path,
    mirror: Mirror,
    tailorbird: Tailorbird,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fetching, "SECONDS", 0.2)
    mirror.faults[TWO], message = FAULTS[name]
    code, out, err = tailorbird("data", "get", "toy", "--mirror", mirror.url)
    assert (code, out) == (1, "")
    line = told(err)
    assert f"{mirror.url}/o/r/{'c' * 40}/d/{TWO} cannot be fetched: " in line
    assert message in line
    assert "what was fetched stays" in line
    assert "--mirror URL" in line
    assert lying_in(data) == {ONE}

    mirror.faults.clear()
    code, _, _ = tailorbird("data", "get", "toy", "--mirror", mirror.url)
    assert code == 0
    assert mirror.names == [ONE, TWO, TWO, THREE]
    assert lying_in(data) == {*CONTENTS, "toy.csv.gz"}


def test_an_original_that_was_changed_is_fetched_anew(
    data: Path, mirror: Mirror, tailorbird: Tailorbird
) -> None:
    place = data / "originals/o/r/d"
    place.mkdir(parents=True)
    (place / ONE).write_bytes(CONTENTS[ONE])
    (place / TWO).write_bytes(CONTENTS[TWO] + b"!")
    code, _, _ = tailorbird("data", "get", "toy", "--mirror", mirror.url)
    assert code == 0
    assert mirror.names == [TWO, THREE]
    assert (place / TWO).read_bytes() == CONTENTS[TWO]


def test_what_is_compressed_on_the_way_is_unpacked(
    data: Path, mirror: Mirror, tailorbird: Tailorbird
) -> None:
    mirror.faults = dict.fromkeys(CONTENTS, mirrors.packed)
    code, _, err = tailorbird("data", "get", "toy", "--mirror", mirror.url)
    assert code == 0, err
    assert lying_in(data) == {*CONTENTS, "toy.csv.gz"}


def test_a_dead_host_is_told(data: Path, tailorbird: Tailorbird) -> None:
    with socket.socket() as taken:  # bound, but nobody listens
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        code, _, err = tailorbird("data", "get", "toy", "--mirror", url)
    assert code == 1
    assert "the host refused the connection" in told(err)
    assert lying_in(data) == set()


def test_no_network_is_told(data: Path, tailorbird: Tailorbird) -> None:
    code, _, err = tailorbird("data", "get", "toy", "--mirror", "http://host.invalid")
    assert code == 1
    assert "the name of the host is unknown here" in told(err)
    assert lying_in(data) == set()


def test_the_mirror_of_the_command_goes_before_that_of_the_environment(
    data: Path, mirror: Mirror, tailorbird: Tailorbird, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAILORBIRD_MIRROR", "http://host.invalid")
    code, _, _ = tailorbird("data", "get", "toy", "--mirror", mirror.url)
    assert code == 0
    shutil.rmtree(data)
    monkeypatch.setenv("TAILORBIRD_MIRROR", mirror.url)
    code, _, _ = tailorbird("data", "get", "toy")
    assert code == 0
    assert len(mirror.paths) == 6


@pytest.mark.parametrize(
    "url", ["ftp://example.org", "file:///etc", "example.org", "https://", "http://[", "https:a"]
)
def test_mirrors_that_are_none_are_refused(url: str, data: Path, tailorbird: Tailorbird) -> None:
    code, _, err = tailorbird("data", "get", "toy", "--mirror", url)
    assert code == 2
    assert f"A mirror must be an address such as https://example.org/files, but is {url!r}" in err
    assert not data.exists()


def test_unknown_names_are_refused_before_anything_is_fetched(
    data: Path, mirror: Mirror, tailorbird: Tailorbird
) -> None:
    code, _, err = tailorbird("data", "get", "toy", "sn-net", "--mirror", mirror.url)
    assert code == 2
    assert "There is no published table 'sn-net'; did you mean 'snnet'?" in err
    assert mirror.paths == []
    code, _, _ = tailorbird("data", "get")
    assert code == 2


def test_a_folder_that_cannot_be_is_told(
    data: Path, mirror: Mirror, tailorbird: Tailorbird
) -> None:
    data.parent.write_text("a file where a folder should be")
    code, _, err = tailorbird("data", "get", "toy", "--mirror", mirror.url)
    assert code == 1
    assert "cannot be written: Not a directory" in told(err)
    assert "TAILORBIRD_DATA" in err
    assert mirror.paths == []


def mounted(options: str, folder: Path, url: str) -> subprocess.CompletedProcess[str]:
    """`data get toy` with a file system of its own at the folder; what lies there, at the end."""
    program = (
        f'mount -t tmpfs -o {options} tmpfs "$TAILORBIRD_DATA" || exit 77\n'
        f'"{sys.executable}" "{mirrors.__file__}" data get toy --mirror {url}\n'
        'code=$?; find "$TAILORBIRD_DATA" -type f; exit $code'
    )
    folder.mkdir(parents=True)
    command = ["unshare", "--map-root-user", "--mount", "sh", "-c", program]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except FileNotFoundError:
        pytest.skip("there is no unshare")
    if done.returncode == 77 or done.stderr.startswith("unshare"):
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    return done


@pytest.mark.parametrize(
    ("size", "kept", "lost"),
    [("32k", {ONE, TWO}, THREE), ("68k", {*CONTENTS}, "toy.csv.gz")],
    ids=["while an original comes", "while the table is written"],
)
def test_a_full_disk_is_told(
    size: str, kept: set[str], lost: str, data: Path, mirror: Mirror
) -> None:
    done = mounted(f"size={size}", data, mirror.url)
    assert done.returncode == 1
    line = told(done.stderr)
    assert f"{lost}' cannot be written: No space left on device. What was fetched stays" in line
    assert "make room, or name another folder in the environment variable TAILORBIRD_DATA" in line
    assert {Path(path).name for path in done.stdout.splitlines()} == kept


def test_a_folder_that_takes_nothing_is_told(data: Path, mirror: Mirror) -> None:
    done = mounted("ro", data, mirror.url)
    assert done.returncode == 1
    assert "cannot be written: Read-only file system" in told(done.stderr)
    assert (done.stdout, mirror.paths) == ("", [])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_of_others_is_told(data: Path, mirror: Mirror, tailorbird: Tailorbird) -> None:
    data.mkdir(parents=True)
    data.chmod(0o500)
    code, _, err = tailorbird("data", "get", "toy", "--mirror", mirror.url)
    assert code == 1
    assert "cannot be written: Permission denied" in told(err)


@pytest.mark.network
def test_a_table_is_fetched_from_its_public_repository(data: Path, tailorbird: Tailorbird) -> None:
    host = fetching.GITHUB.removeprefix("https://")
    try:
        socket.create_connection((host, 443), timeout=3).close()
    except OSError as error:
        pytest.skip(f"{host} cannot be reached: {error}")
    code, out, err = tailorbird("data", "get", "snnet")
    assert code == 0, err
    assert "snnet: 406 rows are in" in out
    table = pd.read_csv(data / "snnet_stitches.csv.gz")
    assert table["source"].value_counts()["snnet_deit_ti_s_b"] == 71
