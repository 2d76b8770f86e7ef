"""Devices behind servers, and compiled programs, through the command line."""

import json
import re
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from servers import RpcProcess, rpc_server

from tailorbird import spaces

pytestmark = [
    pytest.mark.tvm,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

RECIPE = """
name = "small"
[space]
name = "digits-resnet"
max_stitches = 1
[device]
batch = 4
"""

Tailorbird = Callable[..., tuple[int, str, str]]


@pytest.fixture
def on_device(tmp_path: Path, tailorbird: Tailorbird) -> Tailorbird:
    """`tailorbird` beside a recipe with more keys of [device], which come first."""

    def run(device: str, *arguments: str) -> tuple[int, str, str]:
        (tmp_path / "recipe.toml").write_text(RECIPE + device)
        return tailorbird(*arguments)

    return run


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RpcProcess]:
    with rpc_server(tmp_path_factory.mktemp("server")) as one:
        yield one


@pytest.mark.slow
def test_devices_tells_who_answers_and_what_tables_hold(
    on_device: Tailorbird, server: RpcProcess
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nowhere = f"127.0.0.1:{closed.getsockname()[1]}"
        code, out, err = on_device(
            f'endpoint = "{server.address}"',
            *("devices", "recipe.toml", "--endpoint", nowhere, "--json"),
        )
    assert code == 0, err
    here, gone, board = json.loads(out)
    assert gone["reachable"] is False
    assert "nothing answers there" in gone["reason"]
    assert (board["reachable"], board["n_rows"]) == (True, 0)
    assert [board[fact] for fact in ("cpu", "target")] == [here[fact] for fact in ("cpu", "target")]


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ('endpoint = "127.0.0.1"', "must be 'host:port'"),
        ('endpoint = "127.0.0.1:1"', "127.0.0.1:1 cannot be used: nothing answers there"),
        pytest.param(
            'tracker = "127.0.0.1:1"\nkey = "rpi4"',
            "'rpi4' behind the tracker at 127.0.0.1:1",
            marks=pytest.mark.long,
        ),
        ('target = "aarch64-linux-gnu/cortex-a72"', "do not run on this machine"),
        ('target = "x86-64-v33"', "knows no CPU 'x86-64-v33'.*did you mean"),
        ('target = "x86_64-linux-gnu/quux"', r"\[device\] target: LLVM knows no CPU 'quux'"),
    ],
)
def test_a_device_that_cannot_be_had_is_one_sentence(
    on_device: Tailorbird, device: str, message: str
) -> None:
    code, _, err = on_device(device, "profile", "recipe.toml")
    assert code == 2
    last = err.strip().splitlines()[-1]
    assert last.startswith("tailorbird: ")
    assert re.search(message, last), last


@pytest.mark.parametrize("target", ["x86_64-linux-gnu/quux", "z80-linux-gnu/generic"])
def test_nothing_is_compiled_for_what_llvm_does_not_know(
    on_device: Tailorbird, target: str
) -> None:
    code, _, err = on_device(f'target = "{target}"', "compile", "recipe.toml", "out")
    assert code == 2
    assert err.splitlines()[-1].startswith("tailorbird: [device] target: ")
    assert not Path("out").exists() or not any(Path("out").iterdir())


@pytest.mark.long
def test_programs_are_compiled_for_another_processor_as_objects(on_device: Tailorbird) -> None:
    code, _, err = on_device(
        'target = "riscv64-linux-gnu/generic-rv64"', "compile", "recipe.toml", "out", "--objects"
    )
    assert code == 0, err
    manifest = json.loads(Path("out/manifest.json").read_text())
    assert manifest["target"] == "riscv64-linux-gnu/generic-rv64"
    keys = {w.key for w in spaces.get("digits-resnet", max_stitches=1, batch=4).workloads}
    assert set(manifest["programs"]) == {*keys, "call()[1]f32"}
    assert all(Path("out", file).stat().st_size for file in manifest["programs"].values())
    code, _, err = on_device("", "compile", "recipe.toml", "out")
    assert (code, "must be new or empty" in err) == (2, True)


def test_a_missing_cross_compiler_is_named_with_its_package(
    on_device: Tailorbird, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(Path(shutil.which("true") or "").parent / "none"))
    code, _, err = on_device(
        'target = "aarch64-linux-gnu/cortex-a72"', "compile", "recipe.toml", "out"
    )
    assert code == 1
    assert "install Debian's gcc-aarch64-linux-gnu" in err
    assert not list(Path().glob("*out*"))


def test_all_modules_that_do_not_compile_are_named(tmp_path: Path, tailorbird: Tailorbird) -> None:
    (tmp_path / "mine.py").write_text(
        "import torch\nfrom torch import nn\n\n\nclass Angle(nn.Module):\n"
        "    def forward(self, x):\n        return torch.special.i1e(x)\n\n\n"
        "class Log(nn.Module):\n    def forward(self, x):\n        return torch.lgamma(x)\n\n\n"
        "def modules():\n    x = (1, 4)\n"
        "    return {'a': (Angle(), x), 'b': (nn.ReLU(), x), 'c': (Log(), x)}\n"
    )
    (tmp_path / "own.toml").write_text('name = "own"\n[space]\nprograms = "mine:modules"\n')
    code, _, err = tailorbird("compile", "own.toml", "out")
    assert code == 1, err
    assert all(re.search(rf"\b{name}\b", err) for name in "ac")
    assert not Path("out").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["digits-resnet", "deit-ti-s-b"])
def test_every_workload_builds_for_aarch64(
    name: str, on_device: Tailorbird, tmp_path: Path
) -> None:
    """`build_library` refuses what is no ELF file for that machine; so does this, by its header."""
    Path("other.toml").write_text(
        f'name = "arm"\n[space]\nname = "{name}"\n'
        '[device]\ntarget = "aarch64-linux-gnu/cortex-a72"\n'
    )
    code, _, err = on_device("", "compile", "other.toml", "out")
    assert code == 0, err
    files = json.loads(Path("out/manifest.json").read_text())["programs"]
    assert len(files) == len(spaces.get(name).workloads) + 1
    heads = {Path("out", file).read_bytes()[:20] for file in files.values()}
    assert {(head[:4], head[18:20]) for head in heads} == {(b"\x7fELF", b"\xb7\x00")}
