"""Recipes whose latencies a command of the user's own measures."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy as sa
from commands import BY_SIZE, script
from patience import PATIENCE_S

from tailorbird.latency_tables.store.schema import SAMPLE
from tailorbird.pipeline.opening import open_recipe

Tailorbird = Callable[..., tuple[int, str, str]]

pytestmark = [
    pytest.mark.usefixtures("locks_of_its_own"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

RECIPE = """
name = "phone"
[space]
{space}
[device]
name = "{device}"
batch = 2
[latency]
runtime = "command"
command = "{command}"
rounds = 2
{latency}
"""
STITCHED = 'name = "digits-resnet"\nmax_stitches = 1'
LEARNED = """
[accuracy]
train_epochs = 1
stitch_epochs = 1
evaluations = 12
predictor = "ridge"
[report]
networks = 2
random_networks = 2
[search]
population = 8
generations = 2
"""


OWN = 'programs = "layers:layers"'
LAYERS = """
from torch import nn


def layers():
    return {f"to {n}": (nn.Linear(64, n), (2, 64)) for n in (64, 128, 256, 512)}
"""
"""Few programs, where a table is all that matters."""


def write(
    bench: str = BY_SIZE,
    command: str = "./bench {onnx}",
    device: str = "a phone",
    latency: str = "",
    space: str = STITCHED,
) -> None:
    script(Path("bench"), bench)
    Path("layers.py").write_text(LAYERS)
    recipe = RECIPE.format(command=command, device=device, latency=latency, space=space)
    Path("r.toml").write_text(recipe + (LEARNED if space == STITCHED else ""))


def n_rounds() -> int:
    """Rounds and failures in the store of the run."""
    database = Path("runs/phone/store.sqlite")
    if not database.exists():
        return 0
    engine = sa.create_engine(f"sqlite:///{database}", poolclass=sa.NullPool)
    with engine.connect() as connection:
        if not sa.inspect(connection).has_table(SAMPLE.name):
            return 0
        n: int = connection.execute(sa.select(sa.func.count()).select_from(SAMPLE)).scalar_one()
        return n


WITH_OUTPUTS = "./bench {onnx} {inputs} {outputs}"
ABSENT: dict[str, tuple[dict[str, str], str]] = {
    "absent": ({"command": "./nothing {onnx}"}, "There is no program '/.*/nothing'"),
    "no program": ({"command": "r.toml {onnx}"}, "must be executable, but '/.*/r.toml' is not"),
}
WRONG: dict[str, tuple[dict[str, str], str]] = {
    "fails": ({"bench": "exit 3"}, "small linear layer: the command ended with exit code 3"),
    "words": ({"bench": "echo starting"}, "the command printed 'starting'"),
    "zero": ({"bench": "echo 0"}, "the command printed '0'"),
    "negative": ({"bench": "echo -1"}, "the command printed '-1'"),
    "NaN": ({"bench": "echo nan"}, "the command printed 'nan'"),
    "nothing": ({"bench": "true"}, "the command printed nothing"),
    "hangs": (
        {"bench": "sleep 60", "latency": "command_timeout_seconds = 0.2"},
        "the command took longer than 0.2 s",
    ),
    "wrong outputs": (
        {"bench": 'cp "$2"/*.npy "$3"; echo 1', "command": WITH_OUTPUTS},
        r"an output has shape \(2, 8\), but \(2, 4\) in torch",
    ),
    "no outputs": ({"bench": "echo 1", "command": WITH_OUTPUTS}, "the command wrote no outputs"),
}


@pytest.mark.parametrize(
    ("made", "law"),
    [
        *(pytest.param(*one, id=name) for name, one in ABSENT.items()),
        *(pytest.param(*one, id=name, marks=pytest.mark.long) for name, one in WRONG.items()),
    ],
)
def test_a_command_that_does_not_work_is_refused_before_anything_is_measured(
    tailorbird: Tailorbird, made: dict[str, str], law: str
) -> None:
    write(**made)
    code, out, err = tailorbird("profile", "r.toml")
    assert (code, out) == (2, "")
    last = err.strip().splitlines()[-1]
    assert last.startswith("tailorbird: [latency] command")
    assert re.search(law, last), last
    assert n_rounds() == 0


NOISY = """
if test -e noisy; then echo >> noisy; k=$(wc -l < noisy); else k=0; fi
wc -c < "$1" | awk -v k=$k '{ ms = $1 / 1e5 * (1 + k / 4); print ms; print ms }'
"""
"""Each call takes longer than that before, so that no two rounds agree by chance."""


@pytest.mark.long
def test_a_table_that_must_not_be_used_is_told_and_measured_again(
    command_line: Tailorbird,
) -> None:
    write(NOISY, space=OWN)
    Path("noisy").touch()
    code, out, err = command_line("profile", "r.toml")
    assert code == 3, err
    last = out.strip().splitlines()[-1]
    assert last.startswith("Verdict: not to be used, as ")
    assert "`tailorbird table measure-again r.toml`" in last
    code, out, _ = command_line("profile", "r.toml", "--json")  # nothing is measured
    assert code == 3
    assert json.loads(out)["quality"]["is_usable"] is False
    n = n_rounds()
    Path("noisy").unlink()
    code, out, err = command_line("table", "measure-again", "r.toml")
    assert code == 0, err
    assert "100% of all are to be trusted now." in out
    assert out.strip().splitlines()[-1] == "Verdict: fit for use."
    assert n_rounds() > n  # what was measured before is kept
    code, out, _ = command_line("table", "measure-again", "r.toml", "--json")
    assert (code, json.loads(out)["n_measured_again"]) == (0, 0)
    # As if it was killed after rows were void, before they were measured.
    run = open_recipe("r.toml")
    with run.held():
        store = run.latency.database.store()  # type: ignore[attr-defined]  # it is measured
        session = store.begin({"kernel": "6"})
        for workload in run.space.workloads[:2]:
            store.fail(workload.key, run.latency.configuration(), session, "killed")
    code, out, err = command_line("table", "measure-again", "r.toml")
    assert code == 0, err
    assert "2 rows were measured again; 100% of all" in out
    assert command_line("profile", "r.toml")[0] == 0


@pytest.mark.long
def test_a_device_that_is_away_voids_nothing(command_line: Tailorbird) -> None:
    write(f"test -e away && exit 3\n{NOISY}", space=OWN)
    Path("noisy").touch()
    assert command_line("profile", "r.toml")[0] == 3
    before = json.loads(command_line("table", "show", "r.toml", "--json")[1])
    Path("away").touch()
    code, _, err = command_line("table", "measure-again", "r.toml")
    assert code == 2, err
    assert json.loads(command_line("table", "show", "r.toml", "--json")[1]) == before


def test_nothing_is_measured_again_where_nothing_was(command_line: Tailorbird) -> None:
    write(space=OWN)
    code, _, err = command_line("table", "measure-again", "r.toml")
    assert code == 2
    assert "There is no table for this recipe yet" in err
    write()
    text = (
        Path("r.toml")
        .read_text()
        .replace('"a phone"', '"epyc-avx512"')
        .replace("batch = 2", "batch = 16")
    )
    lines = [line for line in text.splitlines() if not line.startswith(("runtime", "command"))]
    Path("r.toml").write_text("\n".join(lines))
    code, _, err = command_line("table", "measure-again", "r.toml")
    assert code == 2
    assert "nothing is measured for it here" in err


@pytest.mark.long
def test_a_device_by_command_has_a_table_as_any_other(tailorbird: Tailorbird) -> None:
    write()
    code, _, err = tailorbird("run", "r.toml")
    assert code == 0, err
    said = "programs were timed by a command that gives no outputs: what they compute was not"
    assert said in Path("runs/phone/report.html").read_text()
    front = pd.read_parquet("runs/phone/front.parquet")
    assert (front["latency_ms_measured"] > 0).all()
    table = json.loads(tailorbird("table", "show", "r.toml", "--json")[1])
    assert table["device"] == "a phone"
    assert {table["configuration"][name] for name in ("cpu", "target")} == {"a phone", "not stated"}
    assert table["configuration"]["timing"] == "./bench {onnx}"
    rows = {row["workload"]: row for row in table["rows"]}
    assert min(rows, key=lambda key: rows[key]["median_ms"]) == "call()[1]f32"
    for row in rows.values():
        assert row["provenance"]["outputs"] == "not compared with torch"
        assert row["provenance"]["n_copies"] == "as the command has it"
        assert row["is_trusted"]
    before = n_rounds()
    assert tailorbird("profile", "r.toml")[0] == 0  # nothing is left to do
    assert n_rounds() == before
    assert tailorbird("table", "export", "r.toml", "theirs.parquet")[0] == 0
    assert tailorbird("table", "diff", "r.toml", "theirs.parquet")[0] == 0
    write(f"{BY_SIZE} # another script")
    code, _, err = tailorbird("search", "r.toml")
    assert code == 2
    assert "tailorbird profile r.toml" in err
    write(device="theirs.parquet")
    code, _, err = tailorbird("search", "r.toml")
    assert code == 0, err


@pytest.mark.long
def test_a_program_that_fails_is_kept_as_failed_and_tried_again(tailorbird: Tailorbird) -> None:
    is_large = 'n=$(wc -c < "$1"); test $n -gt 130000 -a $n -lt 200000'  # the reference is larger
    fails = f"{is_large} && ! test -e mended && echo out of memory >&2 && exit 9"
    write(f"{fails}; {BY_SIZE}", space=OWN)
    code, out, err = tailorbird("profile", "r.toml", "--json")
    assert code == 1
    assert "1 of 5 programs could not be measured" in err
    assert "exit code 9: out of memory" in err
    Path("mended").touch()
    code, out, err = tailorbird("profile", "r.toml", "--json")
    assert code == 0, err
    assert not json.loads(out)["failures"]


@pytest.mark.slow
def test_a_killed_profile_goes_on_where_it_was(tailorbird: Tailorbird) -> None:
    write(f"sleep 0.1; echo $$ >> started; {BY_SIZE}", space=OWN)
    command = [sys.executable, "-m", "tailorbird", "profile", "r.toml"]
    profiler = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + PATIENCE_S
    while n_rounds() < 5 and time.monotonic() < end:
        time.sleep(0.1)
    os.kill(profiler.pid, signal.SIGKILL)
    profiler.wait()
    kept = n_rounds()
    assert kept >= 5
    time.sleep(1.0)
    n_started = len(Path("started").read_text().split())
    time.sleep(0.5)
    assert len(Path("started").read_text().split()) == n_started  # nothing ran on
    code, out, err = tailorbird("profile", "r.toml", "--json")
    assert code == 0, err
    rows = json.loads(out)["rows"]
    assert {row["rounds"] for row in rows} == {2}
    assert n_rounds() == 2 * len(rows)  # those from before the kill among them


@pytest.mark.parametrize(
    ("table", "law"),
    [
        ('[latency]\nruntime = "command"', r"runtime = 'command' needs the key command"),
        ('[latency]\ncommand = "./b {onnx}"', r"\[latency\] command is for runtime = 'command'"),
        ("[latency]\ncommand_timeout_seconds = 3.0", "command_timeout_seconds is for runtime"),
        (
            '[latency]\nruntime = "command"\ncommand = "./b {onnx} {in}"',
            r"\[latency\] command: Braces .* got '\{in\}'",
        ),
        (
            '[latency]\nruntime = "command"\ncommand = "./b {onnx}"\n[device]\ntarget = "x86-64"',
            r"\[device\] target is for TVM",
        ),
        (
            '[latency]\nruntime = "command"\ncommand = "./b {onnx}"\n[device]\nendpoint = "a:1"',
            "devices behind a server are measured by TVM",
        ),
        *(
            (
                f'[device]\ntarget = "{target}"{more}',
                rf"target = '{target}': .* no GPUs. .* runtime = \"command\"",
            )
            for more in ("", '\n[latency]\nruntime = "torch"', '\nendpoint = "127.0.0.1:1"')
            for target in (
                "cuda",
                "nvptx64/sm_80",
                "rocm",
                "vulkan",
                "opencl -device=mali",
                "Metal",
            )
        ),
    ],
)
def test_keys_that_do_not_go_together_are_refused(
    tailorbird: Tailorbird, table: str, law: str
) -> None:
    Path("r.toml").write_text(f'name = "r"\n[space]\nname = "digits-resnet"\n{table}\n')
    code, _, err = tailorbird("profile", "r.toml")
    assert code == 2
    assert re.search(law, err), err
    assert not Path("runs").exists()
