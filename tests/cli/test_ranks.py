"""Commands as ranks that torchrun starts: what they say, and that one of them says it."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import typer
from patience import PATIENCE_S
from safetensors.torch import load_file

from tailorbird.cli import ranks
from tailorbird.errors import RecipeError

RECIPE = """
name = "ranks"
[space]
name = "digits-elastic"
[accuracy]
data = "digits"
supernet_epochs = {epochs}
batch = {batch}
"""
CHOOSING = """
name = "chosen"
[space]
name = "digits-resnet"
max_stitches = 1
choose = "klas"
[accuracy]
data = "digits"
train_epochs = 1
stitch_epochs = 1
stitch_images = 50
"""
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


def started(folder: Path, command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*TORCHRUN, "-m", "tailorbird", command, "r.toml"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def sentences(err: str) -> list[str]:
    return [line for line in err.splitlines() if line.startswith("tailorbird: ")]


def rank_of(pid: int) -> str:
    environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return next((e.decode()[5:] for e in environment if e.startswith(b"RANK=")), "")


@pytest.mark.parametrize(
    ("variables", "n"),
    [
        ({}, 1),
        ({"WORLD_SIZE": "4"}, 1),
        ({"RANK": "0", "WORLD_SIZE": "4", "MASTER_ADDR": "here", "MASTER_PORT": "1"}, 4),
        ({"RANK": "0", "WORLD_SIZE": "many", "MASTER_ADDR": "here", "MASTER_PORT": "1"}, 1),
    ],
)
def test_ranks_are_those_of_torchrun(variables: dict[str, str], n: int) -> None:
    assert ranks.n_ranks(variables) == n


def test_other_commands_are_refused_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"WORLD_SIZE": "2", "MASTER_ADDR": "here", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(RecipeError, match="only `tailorbird train` runs in several processes"):
        ranks.refuse_others()
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(typer.Exit):
        ranks.refuse_others()


@pytest.mark.long
def test_a_refusal_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text(RECIPE.format(epochs=1, batch=3))
    _, err = started(tmp_path, "train").communicate(timeout=PATIENCE_S)
    (sentence,) = sentences(err)
    assert "batch must give each of 2 ranks 2 images at least, which are 4, but is 3" in sentence


@pytest.mark.slow
def test_ranks_choose_the_same_stitches_as_one_process(tmp_path: Path) -> None:
    """Of the same anchors: those that ranks train differ by rounding, which Adam makes more of."""
    one, several = tmp_path / "one", tmp_path / "several"
    for folder in (one, several):
        folder.mkdir()
        (folder / "r.toml").write_text(CHOOSING)
    alone = [sys.executable, "-m", "tailorbird", "train", "r.toml"]
    subprocess.run(alone, cwd=one, check=True, capture_output=True, timeout=PATIENCE_S)
    weights = [folder / "runs/chosen/weights" for folder in (one, several)]
    weights[1].mkdir(parents=True)
    for anchor in weights[0].glob("anchor-*.safetensors"):
        shutil.copy(anchor, weights[1])
    process = started(several, "train")
    _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    found = [load_file(of / "places.safetensors")["places"] for of in weights]
    assert torch.equal(*found)
    for anchor in weights[0].glob("anchor-*.safetensors"):
        assert anchor.read_bytes() == (weights[1] / anchor.name).read_bytes()


@pytest.mark.long
@pytest.mark.parametrize("killed", [pytest.param("0", marks=pytest.mark.slow), "1"])
def test_a_killed_rank_is_told_once_with_the_checkpoint(tmp_path: Path, killed: str) -> None:
    (tmp_path / "r.toml").write_text(RECIPE.format(epochs=1_000, batch=50))
    torchrun = started(tmp_path, "train")
    checkpoint = tmp_path / "runs/ranks/weights/supernet.checkpoint.safetensors"
    end = time.monotonic() + PATIENCE_S
    while not checkpoint.exists():
        assert time.monotonic() < end
        time.sleep(0.1)
    time.sleep(2)  # in the midst of steps
    children = Path(f"/proc/{torchrun.pid}/task/{torchrun.pid}/children").read_text().split()
    (pid,) = (int(child) for child in children if rank_of(int(child)) == killed)
    os.kill(pid, signal.SIGKILL)
    _, err = torchrun.communicate(timeout=PATIENCE_S)
    assert torchrun.returncode != 0
    (sentence,) = sentences(err)
    # torchrun ends the others as well: whichever comes first.
    assert "supernet.checkpoint.safetensors" in sentence or "run again to go on" in sentence
    assert [path.name for path in checkpoint.parent.iterdir()] == [checkpoint.name]
