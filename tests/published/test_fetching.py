"""`tailorbird data get` against real servers: what it fetches, and every way to fail."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import mirrors
import pandas as pd
import pytest
from mirrors import CONTENTS, Fault, Mirror, toy
from patience import PATIENCE_S

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
    """Names of all files but the lock."""
    return {path.name for path in folder.rglob("*") if path.is_file()} - {".lock"}


def told(err: str) -> str:
    """The line for the user; nothing but the bar of progress stands above it."""
    *above, line = err.strip().splitlines()
    assert line.startswith("tailorbird: ")
    assert all(text.startswith("toy") for text in above)
    assert "Traceback" not in err
    return line


def test_a_table_is_made_of_what_was_fetched(
    data: Path, mirror: Mirror, tailorbird: Tailorbird, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, _ = tailorbird("data", "get", "toy", "toy", "--mirror", f"{mirror.url}/my/files/")
    assert code == 0
    assert code == 0
    assert out == f"toy: 3 rows are in {data / 'toy.csv.gz'}.\n"
    assert mirror.paths == [f"/my/files/o/r/{'c' * 40}/d/{name}" for name in CONTENTS]
    assert lying_in(data) == {*CONTENTS, "toy.csv.gz"}
    assert pd.read_csv(data / "toy.csv.gz")["size"].tolist() == [15_000, 15_000, 25_000]
    for name, content in CONTENTS.items():
        original = data / "originals/o/r/d" / name
        assert original.read_bytes() == content

    first = (data / "toy.csv.gz").read_bytes()
    code, out, err = tailorbird("data", "get", "toy", "--mirror", mirror.url)
    assert (code, err) == (0, "")
    assert "is there already; delete it to make it anew" in out
    (data / "toy.csv.gz").unlink()
    monkeypatch.setattr(time, "time", lambda: 2e9)
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
    "announced": (
        mirrors.announced(2**31),
        "the host announces 2147483648 bytes, but it has 15000",
    ),
    "moved with much": (
        mirrors.moved_with_much,
        "more than 64 kB came with the address of another place",
    ),
    "404": (mirrors.status(404), "the host answered 404 Not Found"),
    "503": (mirrors.status(503), "the host answered 503 Service Unavailable"),
    "reason": (
        mirrors.raw(b"HTTP/1.1 418 " + b"\x1b[31mteapot " * 99 + b"\r\n\r\n"),
        f"the host answered 418 {('[31mteapot ' * 9)[:80]}. ",
    ),
    "silent": (mirrors.silent, "nothing came for 0.2 seconds"),
    "stalled": (mirrors.stalled, "nothing came for 0.2 seconds"),
    "trickle": (mirrors.trickling, "it came more slowly than 30 kB a second"),
    "no length": (
        mirrors.raw(b"HTTP/1.1 200 OK\r\nContent-Length: abc\r\n\r\n"),
        "the address, or what the host answered, makes no sense (invalid literal for int()",
    ),
    "no status": (
        mirrors.raw(b"SSH-2.0-OpenSSH_9.2\r\n"),
        "the address, or what the host answered, makes no sense (SSH-2.0-OpenSSH_9.2)",
    ),
    "no packing": (
        mirrors.raw(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\nplain"),
        "what the host sent is not compressed as it says",
    ),
    "circle": (
        mirrors.moved_to("two.txt"),
        "the host sends from one address to the next without end",
    ),
    "nowhere": (
        mirrors.moved_to("http://["),
        "the address, or what the host answered, makes no sense (Invalid IPv6 URL)",
    ),
    "elsewhere": (
        mirrors.moved_to("ftp://example.org"),
        "the address, or what the host answered, makes no sense (No connection adapters",
    ),
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
    monkeypatch.setattr(fetching, "SLOWEST", 30_000)
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
    assert mirror.names[0] == ONE
    assert mirror.names[-2:] == [TWO, THREE]
    assert set(mirror.names[1:-2]) == {TWO}
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


@contextmanager
def closed_port() -> Iterator[int]:
    """A port of loopback that is taken, but at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def test_a_dead_host_is_told(data: Path, tailorbird: Tailorbird) -> None:
    with closed_port() as port:
        url = f"http://127.0.0.1:{port}"
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
    "url",
    [
        *("ftp://example.org", "file:///etc", "example.org", "https://", "http://[", "https:a"),
        *("http://a..b", f"http://{'a' * 70}.org", "http://a:b", "http://a:99999", "http://a:0"),
        *("http://a?b", "http://a#b", "http://a b"),
    ],
)
def test_mirrors_that_are_none_are_refused(url: str, data: Path, tailorbird: Tailorbird) -> None:
    code, _, err = tailorbird("data", "get", "toy", "--mirror", url)
    assert code == 2
    assert f"A mirror must be an address such as https://example.org/files, but is {url!r}" in err
    assert not data.exists()


@pytest.mark.parametrize("url", ["ftp://me:secret@a", "me:secret@a", "http://me:sec/ret@a"])
def test_passwords_of_mirrors_that_are_none_are_not_told(
    url: str, data: Path, tailorbird: Tailorbird
) -> None:
    _, _, err = tailorbird("data", "get", "toy", "--mirror", url)
    assert f"but is {url.replace('me:secret@', '').replace('me:sec/ret@', '')!r}" in err


def test_passwords_of_mirrors_and_proxies_are_not_told(
    data: Path, mirror: Mirror, tailorbird: Tailorbird, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror.faults[ONE] = mirrors.status(404)
    url = mirror.url.replace("://", "://me:secret@")
    _, _, err = tailorbird("data", "get", "toy", "--mirror", url)
    assert f"{mirror.url}/o/r/" in told(err)
    monkeypatch.setenv("NO_PROXY", "")
    with closed_port() as port:
        monkeypatch.setenv("http_proxy", f"http://me:secret@127.0.0.1:{port}")
        _, _, more = tailorbird("data", "get", "toy", "--mirror", url)
    proxy = f"the proxy http://127.0.0.1:{port} cannot be reached, or does not let it through"
    assert proxy in told(more)
    assert "secret" not in err + more


def test_what_moved_and_what_a_proxy_gives_is_fetched(
    data: Path, mirror: Mirror, tailorbird: Tailorbird, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror.contents["there.txt"] = CONTENTS[ONE]
    mirror.faults[ONE] = mirrors.moved_to("there.txt")
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("http_proxy", mirror.url)
    code, _, err = tailorbird("data", "get", "toy", "--mirror", "http://host.invalid")
    assert code == 0, err
    assert mirror.names == [ONE, "there.txt", TWO, THREE]
    assert all(path.startswith("http://host.invalid/o/r/") for path in mirror.paths)


def test_certificates_that_nobody_trusts_are_told(
    data: Path, mirror: Mirror, tailorbird: Tailorbird, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = mirror.url.replace("http:", "https:")
    _, _, err = tailorbird("data", "get", "toy", "--mirror", url)
    assert "no connection came about ([SSL: WRONG_VERSION_NUMBER]" in told(err)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such")
    _, _, err = tailorbird("data", "get", "toy", "--mirror", url)
    assert "invalid path: /no/such)" in told(err)
    assert "written" not in err


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
    assert "make room" not in err
    assert mirror.paths == []


@pytest.mark.parametrize("kind", ["pipe", "folder", "endless"])
def test_originals_that_are_no_files_are_refused(
    kind: str, data: Path, mirror: Mirror, tailorbird: Tailorbird
) -> None:
    place = data / "originals/o/r/d" / TWO
    place.parent.mkdir(parents=True)
    make: dict[str, Callable[[Path], None]] = {
        "pipe": os.mkfifo,
        "folder": Path.mkdir,
        "endless": lambda at: at.symlink_to("/dev/zero"),
    }
    make[kind](place)
    code, _, err = tailorbird("data", "get", "toy", "--mirror", mirror.url)
    assert code == 1
    assert "An original must be a file that can be read, but" in told(err)
    assert f"{str(place)!r} is no plain file. Move it away" in err
    assert mirror.names == [ONE]


def test_the_umask_counts_and_links_to_files_do_too(
    data: Path, mirror: Mirror, tailorbird: Tailorbird
) -> None:
    place = data / "originals/o/r/d" / TWO
    place.parent.mkdir(parents=True)
    (data / "kept").write_bytes(CONTENTS[TWO])
    place.symlink_to(data / "kept")
    before = os.umask(0o027)
    try:
        code, _, _ = tailorbird("data", "get", "toy", "--mirror", mirror.url)
    finally:
        os.umask(before)
    assert code == 0
    assert mirror.names == [ONE, THREE]
    for path in (data / "toy.csv.gz", place.with_name(ONE)):
        assert path.stat().st_mode & 0o777 == 0o640


def getting(url: str) -> subprocess.Popen[str]:
    """`data get toy` in a process of its own."""
    command = [sys.executable, mirrors.__file__, "data", "get", "toy", "--mirror", url]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_what_a_killed_process_left_is_removed(
    number: signal.Signals, data: Path, mirror: Mirror, tailorbird: Tailorbird
) -> None:
    mirror.faults[TWO] = mirrors.trickling
    process = getting(mirror.url)
    while TWO not in mirror.names or not any(".part" in name for name in lying_in(data)):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(number)
    process.communicate()
    stray = {name for name in lying_in(data) if name.endswith(".part")}
    assert len(stray) == (number == signal.SIGKILL)
    assert lying_in(data) == {ONE} | stray
    mirror.faults.clear()
    code, _, err = tailorbird("data", "get", "toy", "--mirror", mirror.url)
    assert code == 0, err
    assert lying_in(data) == {*CONTENTS, "toy.csv.gz"}


def test_a_second_process_waits_and_fetches_nothing(data: Path, mirror: Mirror) -> None:
    second_waits = threading.Event()
    mirror.faults[TWO] = mirrors.after(second_waits)
    first = getting(mirror.url)
    while TWO not in mirror.names:
        assert first.poll() is None
        time.sleep(0.01)
    second = getting(mirror.url)
    assert second.stderr is not None
    assert f"Another `tailorbird data get` works in {data}: waiting." in second.stderr.readline()
    second_waits.set()
    assert f"toy: 3 rows are in {data}" in first.communicate()[0]
    assert "is there already" in second.communicate()[0]
    assert (first.returncode, second.returncode) == (0, 0)
    assert mirror.names == [*CONTENTS]


def test_a_table_is_there_in_whole_or_not_at_all(
    data: Path, mirror: Mirror, tailorbird: Tailorbird, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = Path.replace

    def stop(part: Path, path: Path) -> None:
        if path.suffix != ".gz":
            replace(part, path)
            return
        pd.read_csv(part, compression="gzip")  # whole
        assert not path.exists()
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", stop)
    code, _, _ = tailorbird("data", "get", "toy", "--mirror", mirror.url)
    assert code != 0
    assert lying_in(data) == {*CONTENTS}


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
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
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
    assert {Path(path).name for path in done.stdout.splitlines()} == kept | {".lock"}


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
