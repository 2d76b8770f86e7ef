"""Recipes with several spaces: each is trained by its own kind, and all are searched as one."""

import json
import os
import re
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
import users_module
from arrays import arrays
from own_shared_net import space as own_space
from patience import PATIENCE_S
from safetensors import safe_open
from safetensors.torch import save_file

from tailorbird import recipe, spaces
from tailorbird.errors import RecipeError
from tailorbird.export.network import load
from tailorbird.pipeline.accuracy_sources.member_keys import keys_of
from tailorbird.pipeline.accuracy_sources.trained import TrainedAccuracy
from tailorbird.pipeline.accuracy_sources.union_inputs import folder_name
from tailorbird.pipeline.opening import open_recipe
from tailorbird.progress import NoProgress
from tailorbird.spaces import SearchSpace, Union
from tailorbird.spaces.stitching import StitchSpace, Windows
from tailorbird.spaces.stitching.families.digits_resnet import DigitsResNet

Tailorbird = Callable[..., tuple[int, str, str]]

RECIPE = """
name = "{name}"
{spaces}
[device]
batch = 2
[latency]
runtime = "own_code:Simulator"
rounds = 2
[accuracy]
module = "users_module:good"
{accuracy}
evaluations = 16
predictor = "ridge"
[search]
{search}
[report]
networks = 6
random_networks = 6
"""
STITCHED, ELASTIC = 'module = "users_module:space"', 'module = "own_shared_net:space"'
STITCHED_KEYS, ELASTIC_KEYS = "train_epochs = 1\nstitch_epochs = 1", "supernet_epochs = 2"
BOTH = f"{STITCHED_KEYS}\n{ELASTIC_KEYS}"
NSGA2 = "population = 12\ngenerations = 3"
WEIGHTS = Path("runs/union/weights")
FILE = "shared.safetensors"


def text(
    *tables: str, accuracy: str = BOTH, name: str = "union", search: str = NSGA2, more: str = ""
) -> str:
    written = "\n".join(f"[[space]]\n{table}" for table in tables or (STITCHED, ELASTIC))
    return RECIPE.format(name=name, spaces=written, accuracy=accuracy, search=search) + more


def write(*tables: str, **values: str) -> None:
    Path("r.toml").write_text(text(*tables, **values))


def run(tailorbird: Tailorbird, *arguments: str) -> str:
    code, out, err = tailorbird(*arguments)
    assert code == 0, err
    return out


def union_of_recipe() -> tuple[Union, TrainedAccuracy]:
    source = open_recipe(Path("r.toml"))
    assert isinstance(source.space, Union)
    assert isinstance(source.accuracy, TrainedAccuracy)
    return source.space, source.accuracy


@pytest.mark.long
def test_a_union_is_trained_searched_checked_and_told_apart(tailorbird: Tailorbird) -> None:
    write()
    summary = json.loads(run(tailorbird, "run", "r.toml", "--json"))
    space, _ = union_of_recipe()
    folder = Path("runs/union")
    front, random = (pd.read_parquet(folder / f"{name}.parquet") for name in ("front", "random"))
    both = pd.concat([front, random])
    assert {*both["space"]} == {*space.labels} == {"mine", "own-net"}
    assert [text.partition(": ")[0] for text in both["architecture"]] == both["space"].tolist()
    assert [space.labels[m] for m in both["member"]] == both["space"].tolist()

    of = summary["hypervolume_of"]
    known = both.dropna(subset=["latency_ms_measured", "accuracy_test"])
    for measure, column in (("latency_ms", "latency_ms_measured"), ("accuracy", "accuracy_test")):
        assert of["box"][measure] == pytest.approx([known[column].min(), known[column].max()])
    assert of["spaces"].keys() == {*space.labels}
    assert max(of["spaces"].values()) <= of["union"] <= min(1, sum(of["spaces"].values()))
    report = " ".join((folder / "report.html").read_text().split())
    assert '<th class="text">space</th>' in report
    assert f"the checked front dominates {100 * of['union']:.1f} %" in report
    assert "; those of own-net, with weights that all networks share (supernet_epochs = 2" in report
    assert f"{space.size:,} networks of union(" in report

    before = {path: path.stat().st_mtime_ns for path in WEIGHTS.rglob("*.safetensors")}
    code, _, err = tailorbird("run", "r.toml")
    assert code == 0
    assert "Training" not in err
    assert before == {path: path.stat().st_mtime_ns for path in WEIGHTS.rglob("*.safetensors")}
    pd.testing.assert_frame_equal(pd.read_parquet(folder / "front.parquet"), front)


@pytest.mark.long
def test_weights_of_a_space_are_those_that_it_has_alone(tailorbird: Tailorbird) -> None:
    write()
    run(tailorbird, "train", "r.toml")
    pairs = ((STITCHED, STITCHED_KEYS, "mine"), (ELASTIC, ELASTIC_KEYS, "own-net"))
    for table, keys, label in pairs:
        Path("alone.toml").write_text(text(table, accuracy=keys, name=label))
        run(tailorbird, "train", "alone.toml")
        alone = Path("runs") / label / "weights"
        names = [path.name for path in alone.iterdir()]
        assert names
        for name in names:
            assert (WEIGHTS / label / name).read_bytes() == (alone / name).read_bytes()

    space, accuracy = union_of_recipe()
    trained, x = accuracy.trained(), torch.rand(5, *space.input_shape[1:])
    test = accuracy.dataset().test
    for m, (table, keys, label) in enumerate(pairs):
        Path("alone.toml").write_text(text(table, accuracy=keys, name=label))
        own = open_recipe(Path("alone.toml")).accuracy.train(NoProgress())
        rows = space.members[m].landmarks
        X = space.rows.of(m, rows)
        np.testing.assert_array_equal(trained.evaluate(X, test), own.evaluate(rows, test))
        with torch.inference_mode():
            for row, own_row in zip(X, rows, strict=True):
                assert torch.equal(trained.extract(row)(x), own.extract(own_row)(x))


@pytest.mark.long
def test_a_network_is_exported_as_one_of_its_space(tailorbird: Tailorbird) -> None:
    write()
    run(tailorbird, "run", "r.toml")
    space, accuracy = union_of_recipe()
    x = torch.rand(5, *space.input_shape[1:])
    for m, member in enumerate(space.members):
        row = member.landmarks[-1]
        named = f"{space.labels[m]}: {member.describe(row)}"
        run(tailorbird, "export", "r.toml", "--architecture", named)
        exported = Path("runs/union/network/network.safetensors")
        assert exported.with_suffix(".onnx").exists()
        with safe_open(exported, framework="pt") as file:
            assert file.metadata()["space"] == member.name
        wanted, made = accuracy.network(space.rows.of(m, row[None])[0]), load(exported, member)
        with torch.inference_mode():
            assert torch.equal(made(x), wanted(x))
    front = pd.read_parquet("runs/union/front.parquet")
    run(tailorbird, "export", "r.toml", "--max-latency-ms", str(front["latency_ms_measured"].max()))
    code, _, err = tailorbird("export", "r.toml", "--architecture", "own-net: nothing")
    assert code == 2
    assert "There is no network 'own-net: nothing' in union(" in err


@pytest.mark.long
@pytest.mark.parametrize(
    ("search", "accuracy"),
    [
        ('algorithm = "guided"', BOTH),
        pytest.param(NSGA2, f"{BOTH}\nworkers = 2", marks=pytest.mark.slow),
        ('algorithm = "exact"', f'{BOTH}\npredictor = "additive"'),
        pytest.param(
            f'objectives = ["accuracy", "latency_ms", "peak_mib"]\n{NSGA2}',
            BOTH,
            marks=pytest.mark.slow,
        ),
        (NSGA2, 'trained = "shared.safetensors"'),
    ],
)
def test_algorithms_and_given_weights_take_a_union_as_any_space(
    tailorbird: Tailorbird, search: str, accuracy: str
) -> None:
    if "trained" in accuracy:
        write()
        run(tailorbird, "train", "r.toml")
        weights = union_of_recipe()[1].trained().network.state_dict()
        save_file({name: tensor.contiguous() for name, tensor in weights.items()}, FILE)
    written = text(search=search, accuracy=accuracy)
    if accuracy.count("predictor"):
        written = written.replace('predictor = "ridge"\n', "")
    Path("r.toml").write_text(written)
    run(tailorbird, "run", "r.toml")
    front = pd.read_parquet("runs/union/front.parquet")
    assert front["accuracy_test"].between(0, 1).all()
    if "trained" in accuracy:
        same = dict(union_of_recipe()[1].trained().network.named_parameters())
        assert {*same} <= {*weights}  # which has statistics of norms as well
        others = [name for name, tensor in same.items() if not torch.equal(tensor, weights[name])]
        assert not others


@pytest.mark.slow
def test_training_that_was_killed_ends_the_same(tmp_path: Path) -> None:
    accuracy = f"{STITCHED_KEYS}\nsupernet_epochs = 40\nrule = 'own_rules:slow_pair'"
    content = []
    for name in ("whole", "killed"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "r.toml").write_text(text(accuracy=accuracy))
        if name == "killed":
            process = start(folder)
            checkpoint = folder / WEIGHTS / "own-net/supernet.checkpoint.safetensors"
            end = time.monotonic() + PATIENCE_S
            while not checkpoint.exists() and time.monotonic() < end:
                time.sleep(0.02)
            os.kill(process.pid, signal.SIGKILL)
            process.communicate()
            assert checkpoint.exists()
            assert (folder / WEIGHTS / "mine/stitched.safetensors").exists()
        process = start(folder)
        _, err = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0, err
        files = sorted((folder / WEIGHTS).rglob("*.safetensors"))
        content.append([(path.relative_to(folder), path.read_bytes()) for path in files])
    assert content[0] == content[1]


def start(folder: Path) -> "subprocess.Popen[str]":
    """A process that trains in a folder; the tests' own modules are beside it."""
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


NAMED = 'name = "digits-resnet"\nmax_stitches = 1'
NAMED_ELASTIC = 'name = "digits-elastic"'
REFUSED = [
    ((NAMED, NAMED), BOTH, r"names of their own before settings, but two are 'digits-resnet'"),
    ((NAMED, f"{NAMED}\nkernel = 2"), BOTH, r"two are 'digits-resnet'. Drop one"),
    (
        (NAMED, 'module = "own_code:Perceptrons"'),
        BOTH,
        r"\[\[space\]\]: .* the same images, .* take \(2, 1, 8, 8\), .* \(2, 6\). Run them alone",
    ),
    (
        (NAMED, f"{NAMED_ELASTIC}\nn_classes = 7"),
        BOTH,
        r"must tell the same classes apart, but networks of digits-resnet.* tell 10, and those of "
        r"digits-elastic.* 7. Give one the other's n_classes",
    ),
    (
        (NAMED, f"{NAMED_ELASTIC}\nkernel = 3"),
        BOTH,
        r"Space 'digits-elastic' has no setting 'kernel'; known: batch, n_classes",
    ),
    (
        (NAMED, f'{NAMED_ELASTIC}\ndata = "cifar10"'),
        BOTH,
        r"\[\[space\]\] number 2 has data, but spaces of a union have one data set and one device: "
        r"drop it, and say so in \[accuracy\] data",
    ),
    (
        (f'{NAMED}\ndevice = "local"', NAMED_ELASTIC),
        BOTH,
        r"\[\[space\]\] number 1 has device, .* say so in \[device\]",
    ),
    ((NAMED, f"{NAMED_ELASTIC}\nbatch = 4"), BOTH, r"\[space\] batch'; it is \[device\] batch"),
    ((NAMED, 'programs = "a:b"'), BOTH, r"\[\[space\]\] number 2 has programs, .* of their own"),
    ((NAMED, 'nam = "x"'), BOTH, r"no key '\[\[space\]\] number 2 nam'; did you mean 'name'"),
    ((NAMED, "name = 3"), BOTH, r"\[\[space\]\] number 2 name': Input should be a valid string"),
    (
        (NAMED_ELASTIC, ELASTIC),
        BOTH,
        r"\[accuracy\] \w+_epochs has no part in this recipe, since a supernet is trained for",
    ),
    (
        (NAMED, STITCHED),
        BOTH,
        r"\[accuracy\] supernet_epochs has no part .* stitches are trained for digits-resnet",
    ),
    (
        (NAMED_ELASTIC, ELASTIC),
        'routes = "stitches"',
        r"is for spaces with stitches, but",
    ),
    pytest.param(
        (NAMED, NAMED_ELASTIC),
        'rule = "own_rules:no_rule"',
        r"It must give a tailorbird.training.Rule",
        marks=pytest.mark.long,
    ),
    (
        (NAMED, NAMED_ELASTIC),
        'anchors = { w5 = "a.pt" }',
        r"There is no anchor 'w5' in digits",
    ),
]


@pytest.mark.parametrize(("tables", "accuracy", "law"), REFUSED)
def test_what_cannot_be_one_run_is_refused_before_anything_begins(
    tailorbird: Tailorbird, tables: tuple[str, ...], accuracy: str, law: str
) -> None:
    write(*tables, accuracy=accuracy)
    code, out, err = tailorbird("run", "r.toml")
    assert code == 2, err
    assert not out
    assert err.count("\n") == 1
    assert re.search(law, err), err
    assert not list(Path("runs").rglob("*.safetensors"))
    assert not list(Path("runs").rglob("*.sqlite"))


def test_published_figures_are_of_one_space() -> None:
    tables = [{"name": "digits-resnet"}, {"name": "digits-elastic"}]
    with pytest.raises(RecipeError, match=r"published figures are of one space, and \[\[space\]\]"):
        open_recipe({"name": "a", "space": tables, "accuracy": {"published": "x"}})
    with pytest.raises(RecipeError, match=r"\[\[space\]\] must have a table at least"):
        open_recipe({"name": "a", "space": []})


def test_one_table_of_a_list_is_that_space_alone() -> None:
    table = {"name": "digits-resnet", "max_stitches": 1}
    names = [open_recipe({"name": "a", "space": given}).space.name for given in ([table], table)]
    assert names[0] == names[1] == "digits-resnet(kernel=3,stride=1,max_stitches=1)"


def spaces_of_tests() -> tuple[SearchSpace, SearchSpace]:
    return users_module.space(2), own_space(2)


def asked(**values: object) -> recipe.AccuracySection:
    return recipe.AccuracySection.model_validate(values)


def test_keys_go_to_the_spaces_that_they_are_for() -> None:
    stitched, elastic = spaces_of_tests()
    rates = {"stitch": 0.1, "head": 0.2}
    keys = asked(
        train_epochs=2,
        rule="sandwich",
        routes="stitches",
        distillation="hard",
        learning_rates=rates,
        batch=7,
        evaluations=11,
    )
    own = keys_of(keys, stitched, [elastic])
    assert own.model_fields_set == keys.model_fields_set - {"rule"}
    own = keys_of(keys, elastic, [stitched])
    assert own.model_fields_set == keys.model_fields_set - {"train_epochs", "routes"}
    assert own.learning_rates.model_fields_set == {"head"}
    assert (own.rule, own.batch, own.evaluations, own.distillation) == ("sandwich", 7, 11, "hard")
    assert own.routes is None
    one_a_step = keys_of(asked(distillation="hard"), elastic, [stitched])
    assert one_a_step.distillation is None  # with nobody to learn from
    assert keys_of(keys, elastic, [elastic]) is keys  # refused as it is alone
    assert keys_of(asked(distillation="none"), elastic, [stitched]).distillation == "none"
    fair = asked(rule="strict-fairness", routes="uniform")  # which chooses networks by itself
    assert keys_of(fair, elastic, [stitched]).routes is None
    assert keys_of(fair, stitched, [elastic]).routes == "uniform"


def test_steps_of_routes_go_to_the_spaces_that_have_them() -> None:
    stitched, elastic = spaces_of_tests()
    bare = spaces.get("digits-resnet", max_stitches=0)
    rates = {"stitch": 0.1, "head": 0.2}
    keys = asked(routes_per_step=2, share_of_anchors=0.5, shared_learning_rates=rates)
    assert keys_of(keys, stitched, [elastic]).model_fields_set == keys.model_fields_set
    own = keys_of(keys, elastic, [stitched])
    assert own.model_fields_set == keys.model_fields_set - {"share_of_anchors"}
    assert own.shared_learning_rates.model_fields_set == {"head"}
    several = asked(rule="sandwich", routes_per_step=2)
    assert "routes_per_step" not in keys_of(several, elastic, [stitched]).model_fields_set
    assert keys_of(several, stitched, [elastic]).routes_per_step == 2
    without = keys_of(keys, bare, [stitched])
    assert without.share_of_anchors is None
    assert without.shared_learning_rates.model_fields_set == {"head"}
    assert keys_of(keys, bare, []) is keys  # refused as it is alone
    alone = keys_of(asked(routes_per_step=2, stitch_epochs=0), stitched, [elastic])
    assert alone.routes_per_step == 1


def test_anchors_learn_from_the_largest_where_any_can() -> None:
    stitched, elastic = spaces_of_tests()
    assert isinstance(stitched, StitchSpace)
    given = dict.fromkeys(stitched.family.anchors[:-1], "w.pt")
    other = StitchSpace(DigitsResNet(2, widths=(6, 12)), Windows(2, 1), max_stitches=1)
    keys = asked(anchors_from="largest", anchors=given)
    assert keys_of(keys, other, [stitched]).anchors_from == "largest"
    assert keys_of(keys, stitched, [other]).anchors_from == "labels"
    assert keys_of(keys, elastic, [stitched]).anchors_from == "labels"
    assert keys_of(keys, stitched, []).anchors_from == "largest"  # refused as it is alone


def test_anchors_go_to_the_families_that_have_them() -> None:
    own, other = users_module.space(2), spaces.get("digits-resnet")
    keys = asked(anchors={"w2": "a.pt", "w4": "b.pt", "w16": "c.pt", "w5": "d.pt"})
    taken = [keys_of(keys, *pair).anchors for pair in ((own, [other]), (other, [own]))]
    # What both families have is for both; what none has is refused as it is alone.
    assert [sorted(anchors) for anchors in taken] == [["w2", "w4", "w5"], ["w16", "w4", "w5"]]


@pytest.mark.slow
def test_networks_of_each_space_are_finetuned_and_exported(tailorbird: Tailorbird) -> None:
    write(accuracy=f"{BOTH}\nfinetune_epochs = 2\nfinetune_rate = 1.0")
    run(tailorbird, "run", "r.toml")
    space, accuracy = union_of_recipe()
    trained = accuracy.trained()
    for m, member in enumerate(space.members):
        row = space.rows.of(m, member.landmarks[-1:])[0]
        named = ("--architecture", space.describe(row))
        told = json.loads(
            run(tailorbird, "finetune", "r.toml", "--against-scratch", "--json", *named)
        )
        assert told["architecture"] == space.describe(row)
        assert told["space"] == space.labels[m]
        assert told["scratch_epochs"] == (4 if m else 1 * 2 + 1 + 2)  # two anchors, all routes
        before = trained.evaluate(row[None], accuracy.dataset().test)[0]
        assert told["accuracy_test_before"] == pytest.approx(before)
        run(tailorbird, "export", "r.toml", *named)
        network = load(Path("runs/union/network/network.safetensors"), member)
        images = torch.from_numpy(arrays(accuracy.dataset().test).images)
        with torch.inference_mode():
            right = network(images).argmax(1).numpy() == accuracy.dataset().test.labels
        assert right.mean() == pytest.approx(told["accuracy_test"])
    tuned = pd.read_parquet("runs/union/finetuned.parquet")
    assert tuned["space"].tolist() == [*space.labels]


@pytest.mark.parametrize("label", ["..", ".", "", "a" * 300, "é" * 40, "a/../../b"])
def test_a_folder_of_weights_has_a_name_whatever_its_space_is_called(
    label: str, tmp_path: Path
) -> None:
    own = tmp_path / folder_name(label)
    own.mkdir()
    assert own.resolve().parent == tmp_path.resolve()
    assert folder_name(label) == folder_name(label) != folder_name(f"{label}.")


def test_folders_have_the_names_of_their_spaces() -> None:
    assert folder_name("digits-resnet") == "digits-resnet"
