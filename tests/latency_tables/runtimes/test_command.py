"""Commands of users' own under real faults: scripts that the tests write."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from commands import BY_SIZE, script
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from tailorbird.errors import DeviceError, MeasurementError
from tailorbird.latency_tables import Artifact, Device
from tailorbird.latency_tables.profiling.numerics import check
from tailorbird.latency_tables.program import Program
from tailorbird.latency_tables.runtimes.command import CommandRuntime
from tailorbird.latency_tables.runtimes.command.command_line import CommandLine
from tailorbird.latency_tables.runtimes.command.execution import LARGEST_BYTES, printed_by
from tailorbird.latency_tables.runtimes.command.samples import (
    MOST_SAMPLES,
    read_outputs,
    samples_ms,
    write_inputs,
)

WITH_OUTPUTS = "./bench {onnx} {inputs} {outputs}"


@pytest.mark.parametrize(
    ("text", "law"),
    [
        ("", r"write \{onnx\}"),
        ("./bench", r"write \{onnx\}"),
        ("./bench 'a {onnx}", "Close its quotes"),
        ("./bench {onxx}", r"\{onnx\}, \{inputs\} or \{outputs\}, but got '\{onxx\}'"),
        ("./bench {onnx} {}", r"but got '\{\}'"),
        ("awk '{print $1}' {onnx}", r"but got '\{print \$1\}'"),
        ("./bench {{onnx}}", r"but got '\{\}'"),
        ("./bench {onnx} }", r"but got '\}'"),
        ("./bench {onnx} {inputs}", r"both .* or neither, but .* lacks \{outputs\}"),
        ("./bench {onnx} {outputs}", r"both .* or neither, but .* lacks \{inputs\}"),
    ],
)
def test_a_command_without_its_places_is_refused(text: str, law: str) -> None:
    with pytest.raises(DeviceError, match=law):
        CommandLine.parse(text)


def test_paths_are_filled_in_as_they_are() -> None:
    line = CommandLine.parse("run 'two words' --model={onnx} {inputs} {outputs} {onnx}")
    onnx, inputs, outputs = Path("/a b/0.onnx"), Path("/{outputs}/i"), Path("/o $HOME")
    assert line.filled({"onnx": onnx, "inputs": inputs, "outputs": outputs}) == [
        *("run", "two words", "--model=/a b/0.onnx", "/{outputs}/i", "/o $HOME", "/a b/0.onnx")
    ]


@pytest.mark.parametrize("name", ["bench", "./bench", "below/../bench", "{folder}/bench"])
def test_a_program_is_found_in_the_folder(name: str, tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    path = script(tmp_path / "bench", "echo 1")
    words = (name.replace("{folder}", str(tmp_path)), "{onnx}")
    assert CommandLine("", words).program(tmp_path) == path


def test_a_program_is_found_where_the_system_looks(tmp_path: Path) -> None:
    (tmp_path / "sh").mkdir()  # no program, and so not meant
    found = CommandLine.parse("sh {onnx}").program(tmp_path)
    assert found.is_absolute()
    assert os.access(found, os.X_OK)


@pytest.mark.parametrize(
    ("name", "law"),
    [
        ("./nothing", "There is no program '.*/nothing'. Name"),
        ("nothing-at-all", "There is no program '.*/nothing-at-all', and none of that name where"),
        ("./text", "must be executable, but '.*/text' is not. Write `chmod"),
        ("text", "must be executable, but '.*/text' is not. Write `chmod"),
        ("./folder", "must be executable, but '.*/folder' is not"),
        ("./dangling", "must be executable"),
    ],
)
def test_what_is_no_program_is_named_by_its_path(name: str, law: str, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("echo 1\n")
    (tmp_path / "folder").mkdir()
    (tmp_path / "dangling").symlink_to("nowhere")
    with pytest.raises(DeviceError, match=law):
        CommandLine.parse(f"{name} {{onnx}}").program(tmp_path)


@pytest.mark.parametrize(
    ("text", "file"),
    [
        ("./bench {onnx}", "bench"),
        ("bench {onnx}", "bench"),
        ("sh -e below/bench {onnx}", "below/bench"),
        ("/bin/sh below/bench {onnx}", "below/bench"),
    ],
)
def test_the_checksum_is_that_of_the_script(text: str, file: str, tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    sums: set[str | None] = set()
    for content in ("echo 1", "echo 2", "echo 1"):
        script(tmp_path / file, content)
        (tmp_path / "log.txt").write_text(f"another log each time: {len(sums)}")
        sums.add(CommandLine.parse(f"{text} log.txt {'a' * 300}").checksum(tmp_path))
    assert len(sums) == 2
    assert None not in sums


def test_a_program_of_the_system_has_no_script(tmp_path: Path) -> None:
    assert CommandLine.parse("ssh board ./bench {onnx}").checksum(tmp_path) is None


def run(path: Path, text: str, limit_s: float = 20.0) -> bytes:
    """What a script prints that runs in its own folder."""
    return printed_by([str(script(path / "bench", text))], path, limit_s)


def test_a_command_runs_in_its_folder_with_nothing_to_read(tmp_path: Path) -> None:
    assert run(tmp_path, "pwd; cat; echo said >&2").decode() == f"{tmp_path}\n"


@pytest.mark.parametrize(
    ("text", "law"),
    [
        (
            "echo 1; echo first >&2; echo no phone >&2; exit 3",
            "^the command ended with exit code 3: no phone$",
        ),
        ("exit 255", "^the command ended with exit code 255: it said nothing$"),
        ("kill -SEGV $$", "^the command was ended by SIGSEGV: it said nothing$"),
        (r"printf 'a\033[31m\000b' >&2; exit 1", r"exit code 1: 'a\\x1b\[31m\\x00b'$"),
        ("yes much | head -n 1000000 >&2; echo last >&2; exit 2", "exit code 2: last$"),
    ],
)
def test_a_failure_has_its_code_and_what_was_said_last(text: str, law: str, tmp_path: Path) -> None:
    with pytest.raises(MeasurementError, match=law):
        run(tmp_path, text)


def test_a_script_that_does_not_say_what_runs_it_is_told_to(tmp_path: Path) -> None:
    path = script(tmp_path / "bench", "")
    path.write_text("echo 1\n")
    with pytest.raises(MeasurementError, match=r"cannot be started \(Exec format error: .*#!"):
        printed_by([str(path)], tmp_path, 20.0)
    path.unlink()
    with pytest.raises(MeasurementError, match=r"cannot be started \(No such file or directory\)"):
        printed_by([str(path)], tmp_path, 20.0)


SLEEPING = "sleep 600 & echo $! > child; echo $$ > self"


def has_ended(pid_file: Path) -> bool:
    """Whether a process is gone, or will be once its parent looks."""
    try:
        status = Path(f"/proc/{pid_file.read_text().strip()}/stat").read_text()
    except FileNotFoundError:
        return True
    return status.rsplit(")", 1)[1].split()[0] == "Z"


def eventually(condition: Callable[[], bool], limit_s: float = 10.0) -> bool:
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


def test_what_hangs_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    with pytest.raises(MeasurementError, match=r"longer than 0\.3 s, and was killed"):
        run(tmp_path, f"{SLEEPING}; wait", 0.3)
    assert eventually(lambda: all(has_ended(tmp_path / name) for name in ("child", "self")))


def test_what_a_command_leaves_behind_is_not_waited_for(tmp_path: Path) -> None:
    begin = time.monotonic()
    assert run(tmp_path, f"echo 1.5; {SLEEPING}") == b"1.5\n"  # its output is still held open
    assert time.monotonic() - begin < 10
    assert eventually(lambda: has_ended(tmp_path / "child"))


def test_one_that_prints_for_ever_is_stopped(tmp_path: Path) -> None:
    with pytest.raises(MeasurementError, match=f"more than {LARGEST_BYTES:,} bytes"):
        run(tmp_path, "yes 1.0")


def test_nothing_runs_on_after_ctrl_c(tmp_path: Path) -> None:
    def press() -> None:
        eventually((tmp_path / "self").exists)
        os.kill(os.getpid(), signal.SIGINT)

    Thread(target=press).start()
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, f"{SLEEPING}; wait")
    assert eventually(lambda: all(has_ended(tmp_path / name) for name in ("child", "self")))


@pytest.mark.long
def test_nothing_runs_on_after_a_kill(tmp_path: Path) -> None:
    path = script(tmp_path / "bench", f"{SLEEPING}; wait")
    code = (
        "import sys; from pathlib import Path; "
        "from tailorbird.latency_tables.runtimes.command.execution import printed_by; "
        "printed_by([sys.argv[1]], Path(sys.argv[2]), 600)"
    )
    profiler = subprocess.Popen([sys.executable, "-c", code, str(path), str(tmp_path)])
    assert eventually((tmp_path / "self").exists, 60)
    time.sleep(1.0)  # until the guard is there, however busy the machine is
    profiler.kill()
    profiler.wait()
    assert eventually(lambda: all(has_ended(tmp_path / name) for name in ("child", "self")))


@given(st.lists(st.floats(1e-9, 1e9), min_size=1, max_size=5))
def test_each_line_is_a_sample(ms: list[float]) -> None:
    printed = "".join(f"  {one!r}\r\n\n" for one in ms).encode()
    np.testing.assert_array_equal(samples_ms(printed), ms)


@pytest.mark.parametrize(
    ("printed", "law"),
    [
        (b"", "^the command printed nothing: it must print milliseconds, one a line"),
        (b" \n\n", "printed nothing"),
        (b"1.0\nwarming up\n", "printed 'warming up': it must print milliseconds"),
        (b"1.5 ms\n", "printed '1.5 ms'"),
        (b"1,5\n", "printed '1,5'"),
        (b"1_000\n", "printed '1_000'"),
        ("\u0661\n".encode(), "printed '\u0661'"),
        (b"nan\n", "printed 'nan'"),
        (b"inf\n", "printed 'inf'"),
        (b"1e999\n", "printed '1e999': milliseconds must be from 1e-09 to 1e"),
        (b"0\n", "printed '0': milliseconds must be from 1e-09"),
        (b"-1.0\n", "printed '-1.0': milliseconds must be from 1e-09"),
        (b"\x1b[31m\xff\n", r"printed '\\x1b\[31m"),
        (b"1\n" * (MOST_SAMPLES + 1), "printed 10,001 lines.*at most 10,000.*print fewer"),
    ],
)
def test_what_is_no_sample_is_named(printed: bytes, law: str) -> None:
    with pytest.raises(MeasurementError, match=law):
        samples_ms(printed)


def test_outputs_are_read_in_their_order(tmp_path: Path) -> None:
    arrays = tuple(np.full((2, n + 1), n, np.float32) for n in range(11))
    write_inputs(arrays, tmp_path / "o")
    (tmp_path / "o" / "log.txt").write_text("done")
    for read, written in zip(read_outputs(tmp_path / "o"), arrays, strict=True):
        np.testing.assert_array_equal(read, written)


@pytest.mark.parametrize(
    ("write", "law"),
    [
        (lambda path: None, "wrote no outputs"),
        (lambda path: np.save(path, np.ones(3, dtype=int)), "0.npy holds int64"),
        (lambda path: np.save(path, np.array([{}]), allow_pickle=True), "cannot be read .*pickle"),
        (lambda path: path.write_bytes(b"\x93NUMPY\x01\x00torn"), "cannot be read"),
        (lambda path: path.write_bytes(b""), "cannot be read"),
        (lambda path: path.mkdir(), "cannot be read"),
    ],
    ids=["none", "integers", "pickle", "torn", "empty", "folder"],
)
def test_what_is_no_output_is_refused(
    write: Callable[[Path], object], law: str, tmp_path: Path
) -> None:
    write(tmp_path / "0.npy")
    with pytest.raises(MeasurementError, match=law):
        read_outputs(tmp_path)


def runtime_of(
    home: Path, command: str = "./bench {onnx}", limit_s: float = 20.0
) -> CommandRuntime:
    return CommandRuntime(CommandLine.parse(command), home, home / "compiled", limit_s)


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    """A file that nothing reads but scripts of the shell."""
    (tmp_path / "0.onnx").write_bytes(b"a" * 250)
    return Artifact(tmp_path / "0.onnx")


def test_samples_are_what_the_command_prints(
    artifact: Artifact, device: Device, tmp_path: Path
) -> None:
    script(tmp_path / "bench", BY_SIZE)
    runtime = runtime_of(tmp_path)
    samples = runtime.measure(artifact, (), device, n_copies=7)
    np.testing.assert_allclose(samples.ms, [0.0025, 0.0025])
    assert not len(samples.hot_ms)
    assert runtime.run(artifact, (), device) is None


COPIES = 'cp "$2"/*.npy "$3"; echo 1.0'


def test_outputs_are_compared_where_the_command_gives_them(
    artifact: Artifact, device: Device, tmp_path: Path
) -> None:
    program = Program("identity", nn.Identity, ((2, 3),))
    script(tmp_path / "bench", COPIES)
    without, runtime = runtime_of(tmp_path), runtime_of(tmp_path, WITH_OUTPUTS)
    assert check(program, program.module(), runtime, artifact, device)
    assert not check(program, program.module(), without, artifact, device)
    doubles = Program("doubles", nn.SiLU, ((2, 3),))
    with pytest.raises(MeasurementError, match="outputs differ from torch"):
        check(doubles, doubles.module(), runtime, artifact, device)
    assert not list((tmp_path / "compiled").iterdir())


def test_configurations_tell_commands_scripts_and_devices_apart(
    device: Device, tmp_path: Path
) -> None:
    script(tmp_path / "bench", "echo 1")
    ours = runtime_of(tmp_path).configuration(device, 1)
    assert runtime_of(tmp_path, limit_s=3.0).configuration(device, 1) == ours
    assert runtime_of(tmp_path, "./bench  {onnx}").configuration(device, 1) != ours
    script(tmp_path / "bench", "echo 2")
    differences = ours.differences(runtime_of(tmp_path).configuration(device, 1))
    assert differences.keys() == {"runtime_version"}
    assert ours.cpu == device.cpu
    assert re.fullmatch(r"sha256 [0-9a-f]{16}", ours.runtime_version)
