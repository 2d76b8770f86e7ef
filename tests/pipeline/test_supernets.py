"""Recipes that train a supernet, and search and export its networks."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from patience import PATIENCE_S
from safetensors.torch import load_file

from tailorbird import spaces
from tailorbird.export.network import load
from tailorbird.pipeline.opening import open_recipe
from tailorbird.progress import NoProgress

Tailorbird = Callable[..., tuple[int, str, str]]

RECIPE = """
name = "supernet"
[space]
{space}
[device]
batch = 2
[latency]
runtime = "own_code:Simulator"
rounds = 2
[accuracy]
{accuracy}
evaluations = 12
predictor = "ridge"
[search]
population = 12
generations = 3
[report]
networks = 3
random_networks = 3
"""
OWN = 'module = "own_shared_net:space"'
FEW = 'module = "users_module:good"\nsupernet_epochs = 1'
WEIGHTS = Path("runs/supernet/weights/supernet.safetensors")


def write(space: str = OWN, accuracy: str = FEW) -> None:
    Path("r.toml").write_text(RECIPE.format(space=space, accuracy=accuracy))


def train(tailorbird: Tailorbird, space: str = OWN, accuracy: str = FEW) -> str:
    """Trains, and returns the fingerprint of the weights."""
    write(space, accuracy)
    code, out, err = tailorbird("train", "r.toml")
    assert code == 0, err
    told = re.fullmatch(r"Weights ([0-9a-f]{12}) are in runs/supernet/weights\.\n", out)
    assert told, out
    return told[1]


def assert_exported(tailorbird: Tailorbird, *arguments: str) -> str:
    """Exports a network, and asserts that it is the trained one; returns its text."""
    code, _, err = tailorbird("export", "r.toml", *arguments)
    assert code == 0, err
    source = open_recipe(Path("r.toml"))
    made = load(Path("runs/supernet/network/network.safetensors"), source.space)
    assert Path("runs/supernet/network/network.onnx").exists()
    trained = source.accuracy.train(NoProgress())
    x = torch.rand(5, *source.space.input_shape[1:])
    told = []
    for X in source.space.enumerate():
        for row in X:
            with torch.inference_mode():
                if torch.equal(trained.extract(row)(x), made(x)):
                    told.append(source.space.describe(row))
    assert len(told) == 1
    return told[0]


@pytest.mark.long
def test_a_supernet_is_profiled_trained_searched_reported_and_exported(
    tailorbird: Tailorbird,
) -> None:
    write('name = "digits-elastic"', "supernet_epochs = 4")
    code, out, err = tailorbird("run", "r.toml", "--json")
    assert code == 0, err
    summary = json.loads(out)
    assert summary["n_non_dominated_by_kind"] == {"subnet": summary["n_non_dominated"]}
    assert summary["mape"] < 1e-3  # the board goes by arithmetic alone
    assert {"profile", "train", "evaluate", "search", "check"} == summary["seconds"].keys()
    folder = Path("runs/supernet")
    front = pd.read_parquet(folder / "front.parquet")
    assert not front.isna().any().any()
    assert front["accuracy_test"].max() > 0.3
    report = (folder / "report.html").read_text()
    assert "360 networks of digits-elastic(n_classes=10)" in report
    assert '<th class="text">kind</th>' in report
    assert '<th class="text">space</th>' not in report  # there is one
    assert (
        "Accuracy on 597 test images of digits, which the search never saw, with weights that all "
        "networks share (supernet_epochs = 4, rule = single-path, routes = log-macs)."
    ) in " ".join(report.split())
    before = WEIGHTS.stat().st_mtime_ns
    code, _, err = tailorbird("run", "r.toml")
    assert code == 0, err
    assert "Training" not in err
    assert WEIGHTS.stat().st_mtime_ns == before
    pd.testing.assert_frame_equal(pd.read_parquet(folder / "front.parquet"), front)

    text = front["architecture"][0]
    space = spaces.get("digits-elastic", batch=2)
    (row,) = front.loc[:0, [variable.name for variable in space.variables]].to_numpy()
    assert space.describe(row) == text
    trained = open_recipe(Path("r.toml")).accuracy.train(NoProgress())
    network = trained.extract(row)
    code, _, err = tailorbird("export", "r.toml", "--architecture", text)
    assert code == 0, err
    x = torch.rand(5, 1, 8, 8)
    with torch.inference_mode():
        assert torch.equal(load(folder / "network" / "network.safetensors", space)(x), network(x))
    ms = front["latency_ms_measured"].max()
    code, _, err = tailorbird("export", "r.toml", "--max-latency-ms", str(1.01 * ms))
    assert code == 0, err
    best = front.sort_values("accuracy_test").iloc[-1]
    assert best["accuracy_test"] >= front["accuracy_test"][0]
    assert (folder / "network" / "network.onnx").exists()


@pytest.mark.long
def test_a_supernet_of_ones_own_is_trained_searched_and_exported(tailorbird: Tailorbird) -> None:
    write()
    code, _, err = tailorbird("run", "r.toml")
    assert code == 0, err
    front = pd.read_parquet("runs/supernet/front.parquet")
    assert front["accuracy_test"].between(0, 1).all()
    text = front["architecture"].iloc[-1]
    assert assert_exported(tailorbird, "--architecture", text) == text
    ms = front["latency_ms_measured"].max()
    assert assert_exported(tailorbird, "--max-latency-ms", str(ms)) in set(front["architecture"])


def test_what_was_trained_is_not_trained_again(tailorbird: Tailorbird) -> None:
    first = train(tailorbird)
    before = WEIGHTS.stat().st_mtime_ns
    assert train(tailorbird) == first
    assert WEIGHTS.stat().st_mtime_ns == before
    # What has no part in the weights changes none.
    assert train(tailorbird, accuracy=f"{FEW}\nrule = 'single-path'\nroutes = 'log-macs'") == first
    assert WEIGHTS.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("space", "accuracy"),
    [
        (OWN, f'{FEW}\nrule = "sandwich"'),
        (OWN, f'{FEW}\nrule = "sandwich"\ndistillation = "hard"'),
        (OWN, f'{FEW}\nrule = "own_rules:pair"'),
        (OWN, f'{FEW}\nroutes = "uniform"'),
        (OWN, f'{FEW}\nroutes = "resources"'),
        (OWN, f"{FEW}\nbatch = 20"),
        (OWN, f"{FEW}\nroutes_per_step = 2"),
        (OWN, f'{FEW}\noptimizer = "sgd"'),
        (OWN, f"{FEW}\nlabel_smoothing = 0.1"),
        (OWN, f"{FEW}\nshared_learning_rates.block = 0"),
        (OWN, f"{FEW}\nlearning_rates = {{ head = 0.01 }}"),
        (OWN, f'{FEW}\nteacher = "users_module:teacher"'),
        (OWN, FEW.replace("= 1", "= 2")),
        (OWN.replace("space", "supernet") + "\nseed = 1", FEW),
        (f'{OWN}\nblock = "Constant"', FEW),
    ],
)
@pytest.mark.long
def test_what_decides_weights_trains_anew(
    tailorbird: Tailorbird, space: str, accuracy: str
) -> None:
    first = train(tailorbird)
    kept = load_file(WEIGHTS)
    if "seed" in space:
        Path("r.toml").write_text("seed = 1\n" + Path("r.toml").read_text())
        code, out, _ = tailorbird("train", "r.toml")
        assert code == 0
        assert first not in out
    else:
        assert train(tailorbird, space, accuracy) != first
    again = load_file(WEIGHTS)
    assert any(not torch.equal(tensor, kept[name]) for name, tensor in again.items())


EDITED = """
from functools import partial

from own_net import Block, Stem, of
from tailorbird.spaces import Stage


class Mine(Block):
    def forward(self, x):
        return super().forward(x){more}


def space(batch):
    return of([Stage(Mine, to=(4, 8), stride=2, depth=(1, 2))], partial(Stem, to=4), batch=batch)
"""


@pytest.mark.long
def test_a_block_that_is_edited_is_trained_anew(tailorbird: Tailorbird) -> None:
    fingerprints = []
    for more in ("", " * 2.0", ""):
        edit(EDITED.format(more=more))
        code, out, err = trained(tailorbird, 'module = "mine:space"', FEW)
        assert code == 0, err
        fingerprints.append(out)
    assert fingerprints[0] != fingerprints[1]
    assert fingerprints[0] == fingerprints[2]


def edit(source: str) -> None:
    """Writes `mine.py`, which the next command reads as a new process would."""
    Path("mine.py").write_text(source)
    sys.modules.pop("mine", None)
    shutil.rmtree("__pycache__", ignore_errors=True)  # as edits within a second are not seen


def trained(tailorbird: Tailorbird, space: str, accuracy: str) -> tuple[int, str, str]:
    Path("r.toml").write_text(RECIPE.format(space=space, accuracy=accuracy))
    return tailorbird("train", "r.toml")


RULE = """
from tailorbird.training import Rule


def mine(inputs):
    def loss(one):
        return {times} * inputs.loss(one.logits, one.labels, one.images)

    return Rule(1, lambda step: inputs.draw(step.rng)[None], loss)
"""


@pytest.mark.long
def test_a_rule_that_is_edited_trains_anew(tailorbird: Tailorbird) -> None:
    told = []
    for times, comment in (("0.5", ""), ("0.5", "# half of it"), ("0.25", "")):
        edit(RULE.format(times=times) + comment)
        code, out, err = trained(tailorbird, OWN, f'{FEW}\nrule = "mine:mine"')
        assert code == 0, err
        told.append((out, "Training" in err))
    assert told[0][0] == told[1][0]
    assert [trained for _, trained in told] == [True, False, True]
    assert told[2][0] != told[0][0]


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["own_rules:slow_pair", "sandwich"])
def test_training_that_was_killed_ends_the_same(tmp_path: Path, rule: str) -> None:
    accuracy = f'module = "users_module:good"\nsupernet_epochs = 15\nrule = "{rule}"'
    told, weights = [], []
    for name, n_steps in (("whole", None), ("killed", 5)):
        folder = tmp_path / name
        folder.mkdir()
        if n_steps is not None:
            process = start(folder, OWN, accuracy)
            checkpoint = folder / WEIGHTS.with_suffix(".checkpoint.safetensors")
            end = time.monotonic() + PATIENCE_S
            while not checkpoint.exists() and time.monotonic() < end:
                time.sleep(0.02)
            os.kill(process.pid, signal.SIGKILL)
            process.communicate()
            assert checkpoint.exists()
            assert not (folder / WEIGHTS).exists()
        done = in_a_process(folder, OWN, accuracy)
        assert done.returncode == 0, done.stderr
        told.append(done.stdout)
        weights.append((folder / WEIGHTS).read_bytes())
    assert told[0] == told[1]
    assert weights[0] == weights[1]


def start(folder: Path, space: str, accuracy: str) -> "subprocess.Popen[str]":
    """A process that trains in a folder; the tests' own modules are beside it."""
    (folder / "r.toml").write_text(RECIPE.format(space=space, accuracy=accuracy))
    tests = str(Path(__file__).parents[1])
    paths = [tests, *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    return subprocess.Popen(
        [sys.executable, "-m", "tailorbird", "train", "r.toml"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def in_a_process(folder: Path, space: str, accuracy: str) -> "subprocess.CompletedProcess[str]":
    process = start(folder, space, accuracy)
    out, err = process.communicate(timeout=PATIENCE_S)
    return subprocess.CompletedProcess([], process.returncode, out, err)


@pytest.mark.parametrize("block", ["Iterating", "Constant", "InstanceNormed"])
@pytest.mark.long
def test_blocks_that_do_more_than_usual_share_weights(tailorbird: Tailorbird, block: str) -> None:
    train(tailorbird, f'{OWN}\nblock = "{block}"')
    source = open_recipe(Path("r.toml"))
    trained = source.accuracy.train(NoProgress())
    X = source.space.landmarks
    split = source.accuracy.dataset().test  # type: ignore[attr-defined]  # of what is trained
    with torch.inference_mode():
        right = [
            (trained.extract(row)(torch.from_numpy(split.images)).argmax(1).numpy() == split.labels)
            for row in X
        ]
    np.testing.assert_allclose(trained.evaluate(X, split), np.mean(right, axis=1))
