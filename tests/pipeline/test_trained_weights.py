"""Recipes that take shared weights from a file, whatever trained them."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import users_module
from arrays import arrays
from own_shared_net import space as own_space
from safetensors.torch import load_file, save_file
from torch import Tensor

from tailorbird import spaces
from tailorbird.export.network import load
from tailorbird.pipeline.accuracy_sources.trained import TrainedAccuracy
from tailorbird.pipeline.opening import open_recipe
from tailorbird.spaces import SharedSpace
from tailorbird.training import SharedNetwork, Trained
from tailorbird.training.shared.network import fresh

Tailorbird = Callable[..., tuple[int, str, str]]
State = dict[str, Tensor]

RECIPE = """
name = "given"
[space]
{space}
[latency]
runtime = "own_code:Simulator"
rounds = 2
[accuracy]
module = "users_module:good"
{trained}
evaluations = 10
predictor = "ridge"
[search]
population = 8
generations = 2
[report]
networks = 2
random_networks = 2
"""
ELASTIC = 'module = "own_shared_net:space"'
STITCHED = 'name = "digits-resnet"\nmax_stitches = 1'
FILE = 'trained = "shared.safetensors"'


def space_of(text: str) -> SharedSpace:
    made: object = own_space(1, "InstanceNormed" if "InstanceNormed" in text else "Block")
    if text == STITCHED:
        made = spaces.get("digits-resnet", max_stitches=1)
    return made  # type: ignore[return-value]


def write(space: str = ELASTIC, trained: str = FILE) -> None:
    Path("r.toml").write_text(RECIPE.format(space=space, trained=trained))


def network_of(space: SharedSpace) -> SharedNetwork:
    """A network with weights that no seed draws."""
    network = fresh(space, 3)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(1.5)
    return network


def state(space: str = ELASTIC) -> State:
    return dict(network_of(space_of(space)).state_dict())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def source() -> TrainedAccuracy:
    made = open_recipe(Path("r.toml")).accuracy
    assert isinstance(made, TrainedAccuracy)
    return made


def taken(tailorbird: Tailorbird, trained: str = FILE) -> str:
    """What a command says that takes weights."""
    write(trained=trained)
    code, out, err = tailorbird("train", "r.toml")
    assert code == 0, err
    return out + err


def refused(tailorbird: Tailorbird, trained: str = FILE, space: str = ELASTIC) -> str:
    """The one sentence of a refusal, before anything was measured."""
    write(space, trained)
    code, out, err = tailorbird("run", "r.toml")
    assert code == 2, err
    assert not out
    assert err.count("\n") == 1
    assert not list(Path("runs").rglob("*.safetensors"))
    assert not list(Path("runs").rglob("*.sqlite"))
    return err.removeprefix("tailorbird: ").rstrip()


def assert_weights(wanted: State) -> None:
    """Asserts that networks have these weights."""
    parameters = dict(source().trained().network.named_parameters())
    assert parameters
    for name, tensor in parameters.items():
        assert torch.equal(tensor, wanted[name])


@pytest.mark.parametrize("space", [ELASTIC, STITCHED, f'{ELASTIC}\nblock = "InstanceNormed"'])
@pytest.mark.parametrize("suffix", ["safetensors", "pt"])
@pytest.mark.long
def test_networks_are_those_of_the_network_that_was_saved(
    folder: Path, tailorbird: Tailorbird, space: str, suffix: str
) -> None:
    networks, data = space_of(space), users_module.good()
    saved = Trained(networks, network_of(networks), data.train)
    path = f"shared.{suffix}"
    if suffix == "pt":
        torch.save(saved.network.state_dict(), path)
    else:
        save_file(dict(saved.network.state_dict()), path)
    write(space, f'trained = "{path}"')
    code, out, err = tailorbird("train", "r.toml")
    assert code == 0, err
    assert "Training" not in err
    assert re.fullmatch(rf"Weights [0-9a-f]{{12}} are in {path}\.\n", out)
    assert not list(folder.glob("runs/**/*.safetensors"))
    given, X = source(), networks.sample(10, np.random.default_rng(0))
    np.testing.assert_array_equal(
        given.trained().evaluate(X, data.test), saved.evaluate(X, data.test)
    )
    x = torch.from_numpy(arrays(data.test).images)
    with torch.inference_mode():
        assert torch.equal(given.network(X[0])(x), saved.extract(X[0])(x))


@pytest.mark.long
@pytest.mark.parametrize("space", [ELASTIC, pytest.param(STITCHED, marks=pytest.mark.slow)])
def test_a_report_says_whose_weights_they_are(
    folder: Path, tailorbird: Tailorbird, space: str
) -> None:
    save_file(state(space), "shared.safetensors")
    write(space)
    code, _, err = tailorbird("run", "r.toml")
    assert code == 0, err
    assert "Training" not in err
    report = (folder / "runs/given/report.html").read_text()
    assert "with the weights in shared.safetensors, trained elsewhere" in report
    summary = pd.read_json(folder / "runs/given/summary.json", typ="series")
    assert "read weights" in summary["seconds"]
    assert "train" not in summary["seconds"]
    text = pd.read_parquet(folder / "runs/given/front.parquet")["architecture"][0]
    assert tailorbird("export", "r.toml", "--architecture", text)[0] == 0
    made = load(folder / "runs/given/network/network.safetensors", space_of(space))
    rows = [row for X in space_of(space).enumerate() for row in X]
    (row,) = [row for row in rows if space_of(space).describe(row) == text]
    x, network = torch.rand(4, 1, 8, 8), source().network(row)
    with torch.inference_mode():
        assert torch.equal(network(x), made(x))


@pytest.mark.slow
def test_workers_take_them_as_well(folder: Path, tailorbird: Tailorbird) -> None:
    save_file(state(), "shared.safetensors")
    write(trained=f'{FILE}\nworkers = 2\nzero_cost = ["naswot"]')
    code, _, err = tailorbird("run", "r.toml")
    assert code == 0, err
    front = pd.read_parquet("runs/given/front.parquet")
    assert front["accuracy_test"].between(0, 1).all()
    X = front[[variable.name for variable in own_space(1).variables]].to_numpy()
    trained = source().trained()
    wanted = trained.evaluate(X, users_module.good().test)
    np.testing.assert_array_equal(front["accuracy_test"], wanted)


def test_other_weights_have_another_study(folder: Path) -> None:
    write()
    names = []
    for factor in (1.0, 2.0, 1.0):
        save_file({n: factor * t for n, t in state().items()}, "shared.safetensors")
        names.append(source().study_name("validation"))
    assert names[0] == names[2]
    assert names[0] != names[1]


def test_statistics_of_norms_have_no_part(folder: Path, tailorbird: Tailorbird) -> None:
    """They are taken anew for each network, so those of a file may be there or not."""
    own = space_of(STITCHED)
    write(STITCHED)
    prints = []
    for change in ("all", "other", "none"):
        weights = dict(network_of(own).state_dict())
        statistics = [name for name in weights if name.endswith("running_mean")]
        assert statistics
        for name in statistics:
            weights[name] = weights[name] + 7
            if change == "none":
                del weights[name]
            elif change == "other":
                weights[f"{name}.ema.running_mean"] = torch.zeros(3)
        save_file(weights, "shared.safetensors")
        prints.append(source().trained().fingerprint)
    assert len(set(prints)) == 1


WRAPPED: dict[str, Callable[[State], object]] = {
    "state_dict": lambda own: {"state_dict": own, "epoch": 3},
    "model": lambda own: {"model": own, "optimizer": {"lr": 0.1}},
    "module.": lambda own: {f"module.{name}": tensor for name, tensor in own.items()},
    "_orig_mod.": lambda own: {f"_orig_mod.{name}": tensor for name, tensor in own.items()},
    "half": lambda own: {name: t.half() if t.is_floating_point() else t for name, t in own.items()},
}


@pytest.mark.parametrize("how", WRAPPED)
@pytest.mark.long
def test_what_training_loops_wrap_weights_in_is_taken_off(
    folder: Path, tailorbird: Tailorbird, how: str
) -> None:
    torch.save(WRAPPED[how](state()), "shared.pt")
    assert "remark" not in taken(tailorbird, 'trained = "shared.pt"')
    wanted = state()
    assert_weights({n: t.half().float() for n, t in wanted.items()} if how == "half" else wanted)


def test_one_of_several_weights_is_chosen_by_its_key(folder: Path, tailorbird: Tailorbird) -> None:
    last = {name: tensor + 1 for name, tensor in state().items()}
    torch.save({"state_dict": last, "state_dict_ema": state()}, "shared.pt")
    said = taken(tailorbird, 'trained = "shared.pt"')
    assert "those under 'state_dict_ema' are taken, not 'state_dict'" in said
    assert_weights(state())
    said = taken(tailorbird, 'trained = { file = "shared.pt", key = "state_dict" }')
    assert "are taken" not in said
    assert_weights(last)
    torch.save({"student": last, "pupil": state()}, "shared.pt")
    told = refused(tailorbird, 'trained = "shared.pt"')
    assert 'In [accuracy]: trained = { file = "shared.pt", key = "student" }.' in told


def test_weights_that_training_wrote_are_taken(folder: Path, tailorbird: Tailorbird) -> None:
    write(trained="supernet_epochs = 1")
    assert tailorbird("train", "r.toml")[0] == 0
    before = source().trained()
    Path("runs/given/weights/supernet.safetensors").rename("shared.safetensors")
    taken(tailorbird)
    X = before.space.landmarks
    split = users_module.good().test
    np.testing.assert_array_equal(source().trained().evaluate(X, split), before.evaluate(X, split))


def without(own: State) -> State:
    return dict([*own.items()][1:])


def with_more(own: State) -> State:
    return own | {"parts.stage9_0-Block.expand.weight": torch.zeros(2)}


def renamed(own: State) -> State:
    return {name.replace(".expand.", ".enlarge."): tensor for name, tensor in own.items()}


def wider(own: State) -> State:
    name = next(iter(own))
    return own | {name: torch.cat([own[name], own[name]])}


def undefined(own: State) -> State:
    name = next(iter(own))
    return own | {name: torch.full_like(own[name], torch.nan)}


def of_integers(own: State) -> State:
    return {name: tensor.to(torch.int32) for name, tensor in own.items()}


MISFITS: dict[str, tuple[Callable[[State], State], str]] = {
    "missing": (without, r"in 1 places.*: nothing / 'parts.first-0-Stem"),
    "surplus": (with_more, r"in 1 places.*'parts.stage9_0-Block.expand.weight' / nothing"),
    "renamed": (renamed, r"'parts.stage0_0-Block.enlarge.bias' / 'parts.stage0_0-Block.expand.b"),
    "wider": (wider, r"of shape \(8, 1, 3, 3\) / '.*' of shape \(4, 1, 3, 3\)"),
    "undefined": (undefined, r"must be finite, but 36 of the 36 values of 'parts.first-0-Stem"),
    "integers": (of_integers, r"must be plain arrays of floats, but '.*' is of int32"),
}


@pytest.mark.parametrize("misfit", MISFITS)
@pytest.mark.parametrize("suffix", ["safetensors", pytest.param("pt", marks=pytest.mark.long)])
def test_weights_that_do_not_fit_are_refused(
    folder: Path, tailorbird: Tailorbird, misfit: str, suffix: str
) -> None:
    change, law = MISFITS[misfit]
    if suffix == "pt":
        torch.save(change(state()), "shared.pt")
    else:
        save_file(change(state()), "shared.safetensors")
    told = refused(tailorbird, f'trained = "shared.{suffix}"')
    assert re.search(law, told), told
    if misfit in ("missing", "surplus", "renamed", "wider"):
        assert f"The weights in 'shared.{suffix}' do not fit own-net" in told
        assert told.endswith("of a `tailorbird.training.SharedNetwork` of this very space.")


def test_weights_of_another_space_are_refused(folder: Path, tailorbird: Tailorbird) -> None:
    save_file(state(STITCHED), "shared.safetensors")
    assert "do not fit own-net" in refused(tailorbird)
    save_file(state(), "shared.safetensors")
    assert "do not fit digits-resnet" in refused(tailorbird, space=STITCHED)
    other = own_space(1, n_classes=10, norm=False)
    save_file(dict(network_of(other).state_dict()), "shared.safetensors")
    assert "norm.weight'" in refused(tailorbird)


@pytest.mark.parametrize("suffix", ["safetensors", "pt"])
def test_a_file_that_is_none_is_refused(folder: Path, tailorbird: Tailorbird, suffix: str) -> None:
    path = Path(f"shared.{suffix}")
    told = refused(tailorbird, f'trained = "{path}"')
    assert f"'{path}'" in told
    torch.save(state(), path) if suffix == "pt" else save_file(state(), path)
    path.write_bytes(path.read_bytes()[:-1000])
    told = refused(tailorbird, f'trained = "{path}"')
    assert f"'{path}'" in told


@pytest.mark.parametrize(
    ("trained", "law"),
    [
        (f"{FILE}\nsupernet_epochs = 1", r"with \[accuracy\] trained .* drop supernet_epochs"),
        (f'{FILE}\nrule = "sandwich"', "drop rule"),
        (f'{FILE}\nroutes = "uniform"', "drop routes"),
        (f"{FILE}\ntrain_epochs = 1", "drop train_epochs"),
        (f"{FILE}\nstitch_epochs = 1", "drop stitch_epochs"),
        (f"{FILE}\nstitch_images = 1", "drop stitch_images"),
        (f"{FILE}\nstitch_rank = 1", "drop stitch_rank"),
        (f"{FILE}\nbatch = 20", "drop batch"),
        (f'{FILE}\ndistillation = "soft"', "drop distillation"),
        (f'{FILE}\nteacher = "users_module:teacher"', "drop teacher"),
        (f"{FILE}\nlearning_rates = {{ head = 0.1 }}", "drop learning_rates"),
        (f'{FILE}\nanchors = "installed"', "drop anchors"),
        (f"{FILE}\nn_images = 7", "drop n_images"),
        ("trained = 3", r"\[accuracy\] trained must have a path as file, but got 3"),
        ("trained = ''", r"\[accuracy\] trained must have a path as file, but got ''"),
        ("trained = { key = 'a' }", r"the key 'file' in \[accuracy\] trained is missing"),
        ("trained = { fiel = 'a' }", r"no key 'fiel' in \[accuracy\] trained, which has file and"),
        ("trained = 'https://a.b/c.pt'", r"\[accuracy\] trained must be a file here, but is an ad"),
    ],
)
def test_keys_beside_trained_weights_are_refused(
    folder: Path, tailorbird: Tailorbird, trained: str, law: str
) -> None:
    told = refused(tailorbird, trained)
    assert re.search(law, told), told


@pytest.mark.parametrize("source", ["function", "table", "published"])
def test_weights_are_for_networks_that_are_evaluated(
    folder: Path, tailorbird: Tailorbird, source: str
) -> None:
    value = "own_code:by_width" if source == "function" else "nothing"
    write(trained=f'{FILE}\n{source} = "{value}"')
    text = Path("r.toml").read_text().replace('module = "users_module:good"\n', "")
    Path("r.toml").write_text(text)
    code, _, err = tailorbird("run", "r.toml")
    assert code == 2
    assert "nothing is trained: drop" in err


def test_networks_that_cannot_be_evaluated_are_refused(
    folder: Path, tailorbird: Tailorbird
) -> None:
    block = f'{ELASTIC}\nblock = "InPlace"'
    save_file(dict(network_of(own_space(1, "InPlace")).state_dict()), "shared.safetensors")
    told = refused(tailorbird, space=block)
    assert "works in place on it" in told
    assert load_file("shared.safetensors")
