"""`tailorbird finetune`: trains a network on, checks it again, and keeps it beside the front."""

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
from arrays import arrays
from own_shared_net import space as own_space
from patience import PATIENCE_S
from safetensors.torch import load_file, save_file

from tailorbird import spaces
from tailorbird.export.network import load
from tailorbird.pipeline.accuracy_sources.trained import TrainedAccuracy
from tailorbird.pipeline.opening import open_recipe
from tailorbird.pipeline.run import Run
from tailorbird.reports.write import FILES
from tailorbird.storage.marks import torn
from tailorbird.training.finetuning.difference import difference

Tailorbird = Callable[..., tuple[int, str, str]]

RECIPE = """
name = "tuned"
[space]
{space}
[device]
batch = 2
[latency]
runtime = "own_code:Simulator"
rounds = 2
[accuracy]
{accuracy}
{learned}
[search]
population = 12
generations = 3
[report]
networks = 3
random_networks = 3
"""
ELASTIC = 'module = "own_shared_net:space"'
STITCHED = 'name = "digits-resnet"\nmax_stitches = 1'
GOOD = 'module = "users_module:good"'
TUNED = "finetune_epochs = 4\nfinetune_rate = 1.0"
OF_ELASTIC = f"{GOOD}\nsupernet_epochs = 2\n{TUNED}"
OF_STITCHED = f"{GOOD}\ntrain_epochs = 1\nstitch_epochs = 1\n{TUNED}"
FOLDER = Path("runs/tuned")
WEIGHTS = FOLDER / "weights/finetuned"


def recipe(space: str = ELASTIC, accuracy: str = OF_ELASTIC) -> str:
    learned = (
        ""
        if "table = " in accuracy or "published" in accuracy
        else 'evaluations = 12\npredictor = "ridge"'
    )
    return RECIPE.format(space=space, accuracy=accuracy, learned=learned)


def write(space: str = ELASTIC, accuracy: str = OF_ELASTIC) -> None:
    Path("r.toml").write_text(recipe(space, accuracy))


def made(tailorbird: Tailorbird, *arguments: str) -> dict[str, object]:
    """The network that a command finetunes."""
    code, out, err = tailorbird("finetune", "r.toml", "--json", *arguments)
    assert code == 0, err
    found: dict[str, object] = json.loads(out)
    return found


def run() -> tuple[Run, TrainedAccuracy]:
    opened = open_recipe(Path("r.toml"))
    assert isinstance(opened.accuracy, TrainedAccuracy)
    return opened, opened.accuracy


def exported(tailorbird: Tailorbird, *arguments: str) -> tuple[torch.Tensor, str]:
    """Answers of the exported network to the test images, and what the command says."""
    code, _, err = tailorbird("export", "r.toml", *arguments)
    assert code == 0, err
    opened, accuracy = run()
    network = load(FOLDER / "network" / "network.safetensors", opened.space)
    images = torch.from_numpy(arrays(accuracy.dataset().test).images)
    with torch.inference_mode():
        return network(images), err


def right(answers: torch.Tensor) -> float:
    return float((answers.argmax(1).numpy() == run()[1].dataset().test.labels).mean())


@pytest.mark.long
@pytest.mark.parametrize("space", [ELASTIC, pytest.param(STITCHED, marks=pytest.mark.slow)])
def test_the_best_network_is_finetuned_checked_reported_and_exported(
    tailorbird: Tailorbird, space: str
) -> None:
    write(space, OF_ELASTIC if space == ELASTIC else OF_STITCHED)
    assert tailorbird("run", "r.toml")[0] == 0
    front = pd.read_parquet(FOLDER / "front.parquet")
    files = {name: (FOLDER / name).read_bytes() for name in FILES}
    ms = float(front["latency_ms_measured"].median())
    before, _ = exported(tailorbird, "--max-latency-ms", str(ms))
    code, out, err = tailorbird("finetune", "r.toml", "--max-latency-ms", str(ms))
    assert code == 0, err
    assert "Finetuning" in err
    (found,) = pd.read_parquet(FOLDER / "finetuned.parquet").to_dict("records")
    fast = front[front["latency_ms_measured"] <= ms]
    of_front = fast.iloc[int(fast["accuracy_validation"].to_numpy().argmax())]
    for column in ("architecture", "n_macs", "latency_ms_predicted"):
        assert found[column] == of_front[column]
    assert found["accuracy_validation_before"] == of_front["accuracy_validation"]
    assert found["accuracy_test_before"] == of_front["accuracy_test"] == right(before)
    assert found["latency_ms_measured"] == pytest.approx(of_front["latency_ms_measured"])
    assert found["accuracy_validation"] >= found["accuracy_validation_before"]
    assert found["accuracy_test_gain"] == pytest.approx(
        found["accuracy_test"] - found["accuracy_test_before"]
    )
    assert re.search(
        rf"{100 * found['accuracy_test_before']:.2f} % before, "
        rf"{100 * found['accuracy_test']:.2f} % (after|kept as it was) on 30 test images "
        rf"\([+-]\d+\.\d\d ± \d+\.\d\d points\); [\d.]+ ms measured\.\n",
        out,
    ), out
    assert "Whether it would be better trained from scratch is not known" in out
    # The front is as it was; report and summary have the network beside it, with the same mark.
    changed = {name for name, content in files.items() if (FOLDER / name).read_bytes() != content}
    assert changed == {"summary.json", "report.html"}
    assert torn([FOLDER / name for name in FILES]) is None
    summary = json.loads((FOLDER / "summary.json").read_text())
    assert [one["architecture"] for one in summary["finetuned"]] == [found["architecture"]]
    assert summary["mape"] == json.loads(files["summary.json"])["mape"]
    report = (FOLDER / "report.html").read_text()
    assert report.count("<h2>Finetuned networks</h2>") == 1

    after, said = exported(tailorbird, "--max-latency-ms", str(ms))
    assert right(after) == found["accuracy_test"]
    if found["finetuned_has_changed"]:
        assert not torch.equal(after, before)
    assert "has the weights that `tailorbird finetune r.toml` gave it" in said

    # Once more nothing is trained; a report anew, or of another network, keeps it.
    times = {path: path.stat().st_mtime_ns for path in WEIGHTS.iterdir()}
    code, again, err = tailorbird("finetune", "r.toml", "--max-latency-ms", str(ms))
    assert (code, again) == (0, out)
    assert "Finetuning" not in err
    assert {path: path.stat().st_mtime_ns for path in WEIGHTS.iterdir()} == times
    assert tailorbird("report", "r.toml")[0] == 0
    report = (FOLDER / "report.html").read_text()
    assert report.count("<h2>Finetuned networks</h2>") == 1
    (one,) = json.loads((FOLDER / "summary.json").read_text())["finetuned"]
    assert one["accuracy_test"] == found["accuracy_test"]
    other = str(front.loc[front["architecture"] != found["architecture"], "architecture"].iloc[0])
    assert made(tailorbird, "--architecture", other)["architecture"] == other
    both = pd.read_parquet(FOLDER / "finetuned.parquet")
    assert list(both["architecture"]) == [found["architecture"], other]
    report = (FOLDER / "report.html").read_text()
    assert report.count("<h2>Finetuned networks</h2>") == 1
    assert torn([FOLDER / name for name in FILES]) is None


@pytest.mark.long
def test_any_network_is_finetuned_without_a_front(tailorbird: Tailorbird) -> None:
    longer = OF_ELASTIC.replace("finetune_epochs = 4", "finetune_epochs = 60")
    write(accuracy=longer)
    assert tailorbird("profile", "r.toml")[0] == 0
    assert tailorbird("train", "r.toml")[0] == 0
    opened, accuracy = run()
    text = opened.space.describe(opened.space.landmarks[-1])
    shared = accuracy.trained().extract(opened.space.landmarks[-1])
    code, out, err = tailorbird("finetune", "r.toml", "--architecture", text)
    assert code == 0, err
    assert out.startswith(f"{text}: ")
    assert "`tailorbird report r.toml` will have it in its report" in err
    images = torch.from_numpy(arrays(accuracy.dataset().test).images)
    with torch.inference_mode():
        inherited = shared(images)
    (found,) = pd.read_parquet(FOLDER / "finetuned.parquet").to_dict("records")
    answers, _ = exported(tailorbird, "--architecture", text)
    assert right(answers) == found["accuracy_test"]
    assert found["finetuned_has_changed"]
    assert not torch.equal(answers, inherited)

    # With other settings it is another network: inherited weights are exported, and said to be.
    write(accuracy=longer.replace("finetune_epochs = 60", "finetune_epochs = 61"))
    answers, said = exported(tailorbird, "--architecture", text)
    assert torch.equal(answers, inherited)
    assert "has the weights that it shares with others" in said
    assert tailorbird("report", "r.toml")[0] == 0
    assert json.loads((FOLDER / "summary.json").read_text())["finetuned"] == []


@pytest.mark.long
@pytest.mark.parametrize("space", [ELASTIC, pytest.param(STITCHED, marks=pytest.mark.slow)])
def test_training_from_scratch_is_compared(tailorbird: Tailorbird, space: str) -> None:
    """With the largest network, which learns little in a few passes that others share."""
    accuracy = OF_ELASTIC if space == ELASTIC else OF_STITCHED
    accuracy = accuracy.replace("_epochs = 2", "_epochs = 60").replace("stitch_epochs = 1", "")
    write(space, accuracy.replace(TUNED, "finetune_epochs = 1\nfinetune_rate = 0.001"))
    assert tailorbird("profile", "r.toml")[0] == 0
    assert tailorbird("train", "r.toml")[0] == 0
    opened, source = run()
    row = opened.space.landmarks[-1]
    text = opened.space.describe(row)
    code, out, err = tailorbird("finetune", "r.toml", "--architecture", text, "--against-scratch")
    assert code == 0, err
    (found,) = pd.read_parquet(FOLDER / "finetuned.parquet").to_dict("records")
    # Of a stitched one 4 anchors were trained for an epoch, and all routes for 150 by default.
    assert found["scratch_epochs"] == (61 if space == ELASTIC else 155)
    finetuner = source.finetuner()
    tuned, alone = finetuner.load(row), finetuner.load_alone(row)
    assert tuned is not None
    assert alone is not None
    lead = difference(alone, tuned.after, row, source.dataset().test)
    assert found["scratch_lead"] == lead.mean
    assert found["scratch_lead_std"] == lead.std
    assert found["scratch_is_better"] == (lead.mean >= 2 * lead.std > 0)
    said = "better by two standard errors or more" if lead.is_sure else "not surely better"
    assert f"for {found['scratch_epochs']:.0f} epochs" in out
    assert said in out
    # What is known already is told again, and trained no more.
    code, again, err = tailorbird("finetune", "r.toml", "--architecture", text)
    assert (code, again) == (0, out)
    assert "From scratch" not in err


@pytest.mark.long
@pytest.mark.parametrize("space", [ELASTIC, pytest.param(STITCHED, marks=pytest.mark.slow)])
def test_weights_from_a_file_are_finetuned(tailorbird: Tailorbird, space: str) -> None:
    write(space, f"{GOOD}\n{TUNED}" + ("\nsupernet_epochs = 1" if space == ELASTIC else ""))
    opened, source = run()
    assert source.train(opened.progress).network is not None
    weights = dict(source.trained().network.state_dict())
    save_file(weights, "shared.safetensors")
    tuned = (
        f'{GOOD}\ntrained = "shared.safetensors"\n{TUNED}\nbatch = 20\nlearning_rates.head = 0.1'
    )
    write(space, tuned)
    assert tailorbird("profile", "r.toml")[0] == 0
    text = opened.space.describe(opened.space.landmarks[0])
    found = made(tailorbird, "--architecture", text)
    assert found["finetuned_epochs"] == 4
    answers, _ = exported(tailorbird, "--architecture", text)
    assert right(answers) == found["accuracy_test"]
    code, out, err = tailorbird("finetune", "r.toml", "--architecture", text, "--against-scratch")
    assert (code, out) == (2, "")
    assert "nobody knows for how long. Leave out `--against-scratch`" in err


@pytest.mark.long
def test_a_teacher_of_ones_own_and_a_score_take_part(tailorbird: Tailorbird) -> None:
    more = 'teacher = "users_module:teacher"\nevaluator = "users_module:score"'
    write(accuracy=f"{OF_ELASTIC}\n{more}")
    assert tailorbird("profile", "r.toml")[0] == 0
    assert tailorbird("train", "r.toml")[0] == 0
    opened, _ = run()
    row = opened.space.landmarks[-1]
    found = made(tailorbird, "--architecture", opened.space.describe(row))
    answers, _ = exported(tailorbird, "--architecture", opened.space.describe(row))
    assert found["accuracy_test"] == pytest.approx(right(answers) / 2)  # which is that score


@pytest.mark.slow
def test_finetuning_that_was_killed_ends_the_same(tmp_path: Path) -> None:
    accuracy = OF_ELASTIC.replace("finetune_epochs = 4", "finetune_epochs = 60")
    weights, told = [], []
    before = tmp_path / "before"
    before.mkdir()
    (before / "r.toml").write_text(recipe(ELASTIC, accuracy))
    for command in ("profile", "train"):
        done = start(before, command)
        _, err = done.communicate(timeout=PATIENCE_S)
        assert done.returncode == 0, err
    for name in ("whole", "killed"):
        folder = tmp_path / name
        shutil.copytree(before, folder)
        if name == "killed":
            process = start(folder, "finetune", *arguments(folder))
            end = time.monotonic() + PATIENCE_S
            while time.monotonic() < end and not any(checkpoints(folder)):
                time.sleep(0.02)
            time.sleep(0.3)
            os.kill(process.pid, signal.SIGKILL)
            process.communicate()
            assert any(checkpoints(folder))
        process = start(folder, "finetune", *arguments(folder))
        out, err = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0, err
        told.append(out)
        (file,) = (folder / WEIGHTS).iterdir()
        weights.append(file.read_bytes())
    assert told[0] == told[1]
    assert weights[0] == weights[1]
    assert load_file(file)


def arguments(folder: Path) -> tuple[str, str]:
    opened = open_recipe(folder / "r.toml")
    return "--architecture", opened.space.describe(opened.space.landmarks[-1])


def checkpoints(folder: Path) -> list[Path]:
    return [*(folder / WEIGHTS).glob("*.checkpoint.safetensors")]


def start(folder: Path, command: str, *more: str) -> "subprocess.Popen[str]":
    """A command in a folder; the tests' own modules are beside it."""
    tests = str(Path(__file__).parents[1])
    paths = [tests, *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    return subprocess.Popen(
        [sys.executable, "-m", "tailorbird", command, "r.toml", *more],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def refused(tailorbird: Tailorbird, *arguments: str) -> str:
    """The one sentence of a refusal, before anything is trained."""
    code, out, err = tailorbird("finetune", "r.toml", *arguments)
    assert code == 2, err
    assert not out
    assert err.count("\n") == 1, err
    assert not WEIGHTS.exists()
    assert not (FOLDER / "finetuned.parquet").exists()
    return err.removeprefix("tailorbird: ").rstrip()


CELLS = 'name = "nasbench201"'
MACRO = 'name = "macro-mobilenetv2"'
NOTHING = (
    r"There are no weights to finetune: accuracies of this recipe are those of .*, and nothing is"
)


@pytest.mark.parametrize(
    ("space", "accuracy", "given", "law"),
    [
        (ELASTIC, OF_ELASTIC, (), r"no front in .*front.parquet'. Make it with `tailorbird run r"),
        (ELASTIC, OF_ELASTIC, ("--max-latency-ms", "8"), r"There is no front in"),
        (ELASTIC, OF_ELASTIC, ("--max-latency-ms", "-8"), r"must be finite and positive"),
        (ELASTIC, OF_ELASTIC, ("--architecture", "to=5"), r"There is no network 'to=5' in own-net"),
        (
            ELASTIC,
            OF_ELASTIC,
            ("--architecture", "a", "--max-latency-ms", "8"),
            r"Name an architecture or a largest latency, not both",
        ),
        (
            'name = "elastic-vit"\nn_classes = 10',
            "",
            ("--architecture", "a"),
            r"spaces of up to 1,000,000, but elastic-vit.* has [\d,]+\. Take one of the checked fr",
        ),
        (ELASTIC, 'function = "own_code:by_width"', (), NOTHING),
        (CELLS, "", (), r"There is no training for nasbench201"),
        (ELASTIC, f"{GOOD}\nfinetune_epochs = 0", (), r"finetune_epochs.* 1.* got 0"),
        (ELASTIC, f"{GOOD}\nfinetune_rate = 0", (), r"finetune_rate.* 0.* got 0"),
        (ELASTIC, f"{GOOD}\nfinetune_epoch = 1", (), "did you mean 'finetune_epochs'"),
        (
            ELASTIC,
            'function = "own_code:by_width"\nfinetune_epochs = 1',
            (),
            r"with \[accuracy\] function nothing is trained: drop finetune_epochs",
        ),
        (
            ELASTIC,
            f'{GOOD}\ntrained = "a.safetensors"\nbatch = 5',
            (),
            r"with \[accuracy\] trained weights are there already: drop batch",
        ),
        (
            ELASTIC,
            f'{GOOD}\ntrained = "a.safetensors"\nrule = "sandwich"\n{TUNED}',
            (),
            r"with \[accuracy\] trained weights are there already: drop rule",
        ),
    ],
)
def test_what_cannot_be_finetuned_is_refused(
    tailorbird: Tailorbird, space: str, accuracy: str, given: tuple[str, ...], law: str
) -> None:
    write(space, accuracy)
    told = refused(tailorbird, *given)
    assert re.search(law, told), told


def test_a_table_of_accuracies_has_no_weights(tailorbird: Tailorbird) -> None:
    write(accuracy='table = "t.csv"')
    space = own_space(2)
    X = space.sample(40, np.random.default_rng(0))
    rows = [
        f'"{space.describe(row)}",{0.5 + i / 100}' for i, row in enumerate(np.unique(X, axis=0))
    ]
    Path("t.csv").write_text("\n".join(["architecture,accuracy", *rows]))
    told = refused(tailorbird)
    assert "no weights to finetune: accuracies of this recipe are those of" in told
    assert "t.csv" in told


@pytest.mark.long
def test_what_was_not_done_yet_is_asked_for(tailorbird: Tailorbird) -> None:
    """Weights, then latencies, before anything is trained."""
    write()
    text = own_space(2).describe(own_space(2).landmarks[0])
    told = refused(tailorbird, "--architecture", text)
    assert "There are no weights for this recipe" in told
    assert "Make them with `tailorbird train r.toml`" in told
    assert tailorbird("train", "r.toml")[0] == 0
    told = refused(tailorbird, "--architecture", text)
    assert "workloads are not in the table of 'local'" in told
    assert "Measure them with `tailorbird profile r.toml`" in told


@pytest.mark.long
def test_learning_rates_of_nothing_are_refused(tailorbird: Tailorbird) -> None:
    still = "learning_rates = { embedding = 0, block = 0, stitch = 0, head = 0 }"
    write(STITCHED, f"{OF_STITCHED}\n{still}")
    text = spaces.get("digits-resnet", batch=2, max_stitches=1)
    for command in ("profile", "train"):
        assert tailorbird(command, "r.toml")[0] == 0
    told = refused(tailorbird, "--architecture", text.describe(text.landmarks[0]))
    assert "[accuracy.learning_rates] must be above 0 for some part" in told
