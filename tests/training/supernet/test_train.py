"""Training of supernets: what it keeps, goes on from and loads, and when it trains anew."""

import math
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import own_net
import pytest
import torch
from arrays import arrays
from own_shared import Normed
from safetensors import safe_open
from safetensors.torch import load_file
from shared_spaces import images_of, rows_of, space_of
from torch import Tensor, nn

from tailorbird.errors import ContractError, TrainingError
from tailorbird.export.network import load
from tailorbird.progress import NoProgress
from tailorbird.registry.training_rules import TRAINING_RULES
from tailorbird.spaces import Piece, SharedSpace, Stage, Workload, shared
from tailorbird.spaces.shared import fingerprint
from tailorbird.storage import tensors
from tailorbird.training import (
    Dataset,
    Split,
    SupernetTraining,
    Trained,
    digits,
    load_supernet,
    saving,
    train_supernet,
)
from tailorbird.training.data.augment import shift
from tailorbird.training.supernet.train import rule_of

SETTINGS = SupernetTraining(8, seed=0, batch=25)

# Trains what the fixtures of these tests describe, in processes that die at the start of a step.
SCRIPT = """
import os, signal, sys
from dataclasses import replace
from pathlib import Path
sys.path.insert(0, sys.argv[2])
import torch._dynamo  # torch does at the first optimizer; once is enough for all processes
from shared_spaces import space_of
from tailorbird.progress import NoProgress
from tailorbird.training import Split, SupernetTraining, saving, train_supernet
from tailorbird.training.data import digits
from tailorbird.training.data.augment import shift

saving._SAVED_EVERY_S = 0

def run(folder, rule, last):
    steps = 0
    def shift_and_die(images, generator):
        nonlocal steps
        steps += 1
        if steps > last:
            os.kill(os.getpid(), signal.SIGKILL)
        return shift(images, generator)
    data = digits.load()
    train_split = Split(data.train.images[:100], data.train.labels[:100])
    data = replace(data, train=train_split, augment=shift_and_die)
    settings = SupernetTraining(8, seed=0, batch=25, rule=rule)
    train_supernet(space_of("digits-elastic"), data, settings, folder, NoProgress())

for case in sys.argv[3:]:
    rule, _, last = case.rpartition("-")
    child = os.fork()
    if child == 0:
        run(Path(sys.argv[1]) / case, rule, int(last))
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
"""
N_STEPS = {
    "single-path": 32,
    "sandwich": 8,
    "best-up": 5,
    "worst-up": 5,
    "alpha-divergence": 8,
    "sorted": 8,
    "delayed-shrinking": 12,
    "probability-shift": 8,
    "strict-fairness": 8,
}
CASES = (
    *("single-path-21", "sandwich-5", "best-up-3", "worst-up-2", "alpha-divergence-5", "sorted-4"),
    *("delayed-shrinking-4", "delayed-shrinking-8", "probability-shift-5", "strict-fairness-3"),
)


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What training left behind that was killed, in a folder for each case."""
    folder = tmp_path_factory.mktemp("killed")
    tests = str(Path(__file__).parents[2])
    subprocess.run([sys.executable, "-c", SCRIPT, str(folder), tests, *CASES], check=True)
    return folder


@dataclass
class Counted:
    """An augmentation that says how many steps were taken."""

    steps: int = 0

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        self.steps += 1
        return shift(images, generator)


def trained_in(
    folder: Path, data: Dataset, settings: SupernetTraining, space: SharedSpace | None = None
) -> tuple[Trained, int]:
    """What training gives, and the steps that it took."""
    counted = Counted()
    space = space or space_of("digits-elastic")
    data = replace(data, augment=counted)
    return train_supernet(space, data, settings, folder, NoProgress()), counted.steps


def test_every_rule_is_killed() -> None:
    assert {case.rpartition("-")[0] for case in CASES} == {*TRAINING_RULES} == {*N_STEPS}


@pytest.mark.long
@pytest.mark.parametrize("case", CASES)
def test_training_that_was_killed_goes_on_to_the_same_weights(
    few_digits: Dataset, tmp_path: Path, killed: Path, case: str
) -> None:
    rule, _, after = case.rpartition("-")
    settings = replace(SETTINGS, rule=rule)
    whole, n_steps = trained_in(tmp_path / "whole", few_digits, settings)
    assert n_steps == N_STEPS[rule]
    folder = tmp_path / "killed"
    shutil.copytree(killed / case, folder)
    checkpoint = folder / "supernet.checkpoint.safetensors"
    with safe_open(checkpoint, framework="pt") as file:
        assert int(file.metadata()["step"]) == int(after)
    assert load_supernet(whole.space, few_digits, settings, folder) is None
    resumed, n_left = trained_in(folder, few_digits, settings)
    assert n_left == n_steps - int(after)  # nothing was trained twice
    assert resumed.fingerprint == whole.fingerprint
    assert (folder / "supernet.safetensors").read_bytes() == (
        tmp_path / "whole" / "supernet.safetensors"
    ).read_bytes()
    assert [path.name for path in folder.iterdir()] == ["supernet.safetensors"]


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        *(("own-net", rule) for rule in TRAINING_RULES),
        *(
            (name, rule)
            for name in ("recurrent", "tied", "stateful", "digits-resnet")
            for rule in ("single-path", "sandwich", "delayed-shrinking")
        ),
    ],
)
@pytest.mark.long
def test_training_that_fails_amid_goes_on_to_the_same_weights(
    few_digits: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    rule: str,
) -> None:
    """Of all kinds of blocks, stitched ones as well."""
    monkeypatch.setattr(saving, "_SAVED_EVERY_S", 0)
    space = space_of(name)
    made = rule_of(space, replace(SETTINGS, rule=rule))
    settings = replace(SETTINGS, epochs=math.ceil(made.n_passes), rule=rule)  # four steps at least
    whole, n_steps = trained_in(tmp_path / "whole", few_digits, settings, space)
    counted = Counted()

    def failing(images: Tensor, generator: torch.Generator) -> Tensor:
        if counted.steps == 2:
            raise InterruptedError
        return counted(images, generator)

    data = replace(few_digits, augment=failing)
    with pytest.raises(InterruptedError):
        train_supernet(space, data, settings, tmp_path / "b", NoProgress())
    resumed, n_left = trained_in(tmp_path / "b", few_digits, settings, space)
    assert n_left == n_steps - 2
    assert resumed.fingerprint == whole.fingerprint
    start = trained_in(tmp_path / "none", few_digits, replace(settings, epochs=0), space)[0]
    assert start.fingerprint != whole.fingerprint


@pytest.mark.long
def test_a_second_call_loads_what_the_first_made(few_digits: Dataset, tmp_path: Path) -> None:
    first, n_first = trained_in(tmp_path, few_digits, SETTINGS)
    again, n_again = trained_in(tmp_path, few_digits, SETTINGS)
    assert (n_first, n_again) == (32, 0)
    loaded = load_supernet(first.space, few_digits, SETTINGS, tmp_path)
    assert loaded is not None
    assert first.fingerprint == again.fingerprint == loaded.fingerprint
    rows = rows_of(first.space, 6)
    found = [one.evaluate(rows, few_digits.test).tolist() for one in (first, again, loaded)]
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize(
    "other",
    [
        {"epochs": 9},
        {"seed": 1},
        {"batch": 20},
        {"rule": "sandwich"},
        {"routes": "uniform"},
        {"routes": "resources"},
        {"distillation": "hard"},
        {"teacher": "somebody"},
        {"learning_rates": {"embedding": 2e-2, "block": 1e-2, "head": 2e-2}},
    ],
    ids=str,
)
@pytest.mark.long
def test_other_settings_train_anew(
    few_digits: Dataset, tmp_path: Path, other: dict[str, object]
) -> None:
    settings = replace(SETTINGS, epochs=4)
    trained_in(tmp_path, few_digits, settings)
    changed: SupernetTraining = replace(settings, **other)  # type: ignore[arg-type]  # see above
    assert trained_in(tmp_path, few_digits, changed)[1] > 0
    assert trained_in(tmp_path, few_digits, changed)[1] == 0


def test_other_images_and_other_rules_of_ones_own_train_anew(
    few_digits: Dataset, tmp_path: Path
) -> None:
    settings = replace(SETTINGS, epochs=2)
    trained_in(tmp_path, few_digits, settings)
    train = Split(-arrays(few_digits.train).images, few_digits.train.labels)
    assert trained_in(tmp_path, replace(few_digits, train=train), settings)[1] == 8
    for program in ("one", "other"):
        assert trained_in(tmp_path, few_digits, replace(settings, program=program))[1] == 8


def test_an_edited_block_is_trained_anew(
    few_digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has the same weights and the same name, and does something else."""
    settings = replace(SETTINGS, epochs=1)
    space = space_of("normed")
    trained_in(tmp_path, few_digits, settings, space)
    assert trained_in(tmp_path, few_digits, settings, space_of("normed"))[1] == 0

    def forward(self: Normed, x: Tensor) -> Tensor:
        y: Tensor = self.norm(self.conv(x)).tanh()
        return y

    monkeypatch.setattr(Normed, "forward", forward)
    edited = space_of("normed")
    assert {w.key for w in edited.workloads} != {w.key for w in space.workloads}
    assert edited.name == space.name
    assert load_supernet(edited, few_digits, settings, tmp_path) is None
    assert trained_in(tmp_path, few_digits, settings, edited)[1] == 4


@pytest.mark.parametrize("rule", TRAINING_RULES)
def test_no_windows_stay_in_memory_behind_a_step(
    few_digits: Dataset, tmp_path: Path, rule: str
) -> None:
    trained, _ = trained_in(tmp_path, few_digits, replace(SETTINGS, epochs=4, rule=rule))
    network = trained.network
    windowed = [m for one in network._windowed.values() for m in one.module.modules()]
    assert windowed
    assert not any(tensor is not None for m in windowed for tensor in m._parameters.values())


def dropping(module: Normed) -> None:
    module.add_module("norm", nn.Sequential(module.norm, nn.Dropout(0.5)))


def zeroed(module: Normed) -> None:
    nn.init.zeros_(module.conv.weight)


def frozen(module: Normed) -> None:
    module.conv.requires_grad_(False)


@pytest.mark.parametrize("edit", [dropping, zeroed, frozen])
def test_a_block_that_learns_in_another_way_is_trained_anew(
    few_digits: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    edit: Callable[[Normed], None],
) -> None:
    """It is as fast as before."""
    settings = replace(SETTINGS, epochs=1)
    space, made = space_of("normed"), Normed.__init__
    trained_in(tmp_path, few_digits, settings, space)

    def init(self: Normed, width: int, to: int) -> None:
        made(self, width, to)
        edit(self)

    monkeypatch.setattr(Normed, "__init__", init)
    shared._structure.cache_clear()  # as in another process
    edited = space_of("normed")
    assert edited.workloads == space.workloads
    assert trained_in(tmp_path, few_digits, settings, edited)[1] == 4
    monkeypatch.undo()
    shared._structure.cache_clear()
    assert load_supernet(space, few_digits, settings, tmp_path) is None


def test_other_weights_of_a_module_that_was_given_train_anew() -> None:
    def pieces(seed: int) -> list[Piece]:
        torch.manual_seed(seed)
        work = Workload.from_module("given", nn.Linear(4, 10), (2, 4))
        return [Piece("head", "last", work)]

    with torch.random.fork_rng():
        one, again, other = pieces(0), pieces(0), pieces(1)
    assert one == other
    assert fingerprint(one) == fingerprint(again) != fingerprint(other)


def test_a_rate_of_what_is_not_there_trains_nothing_anew(
    few_digits: Dataset, tmp_path: Path
) -> None:
    settings = replace(SETTINGS, epochs=1)
    assert {*settings.learning_rates} == {*shared.KINDS}  # so all that there is learns
    trained_in(tmp_path, few_digits, settings)
    rates = {kind: rate for kind, rate in settings.learning_rates.items() if kind != "stitch"}
    assert trained_in(tmp_path, few_digits, replace(settings, learning_rates=rates))[1] == 0


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"rule": "sandwih"}, "no rule 'sandwih'; did you mean 'sandwich'"),
        ({"routes": "log"}, "no draw of routes 'log'; did you mean 'log-macs'"),
        ({"routes": "stitches"}, "digits-elastic.* has none"),
        ({"distillation": "sofft"}, "no distillation 'sofft'; did you mean 'soft'"),
    ],
    ids=str,
)
def test_names_of_nothing_are_refused_before_anything_is_written(
    few_digits: Dataset, tmp_path: Path, wrong: dict[str, str], said: str
) -> None:
    settings: SupernetTraining = replace(SETTINGS, **wrong)  # type: ignore[arg-type]  # all texts
    with pytest.raises(ContractError, match=said):
        trained_in(tmp_path / "weights", few_digits, settings)
    assert not [*tmp_path.iterdir()]


def test_a_space_of_other_choices_under_the_same_name_is_trained_anew(
    few_digits: Dataset, tmp_path: Path
) -> None:
    settings = replace(SETTINGS, epochs=1)
    for widths in ((4, 8), (4, 6, 8)):  # shared tensors of both have the same shapes
        space = own_net.of([Stage(Normed, to=widths, depth=(1, 2))])
        assert trained_in(tmp_path, few_digits, settings, space)[1] == 4


@pytest.mark.parametrize("size", [0, 4, 700, -1])
def test_torn_weights_are_not_loaded(few_digits: Dataset, tmp_path: Path, size: int) -> None:
    settings = replace(SETTINGS, epochs=1)
    whole, _ = trained_in(tmp_path, few_digits, settings)
    path = tmp_path / "supernet.safetensors"
    path.write_bytes(path.read_bytes()[:size])
    assert load_supernet(whole.space, few_digits, settings, tmp_path) is None
    again, n_steps = trained_in(tmp_path, few_digits, settings)
    assert (again.fingerprint, n_steps) == (whole.fingerprint, 4)


def test_weights_are_kept_by_the_names_of_pieces(few_digits: Dataset, tmp_path: Path) -> None:
    trained, _ = trained_in(tmp_path, few_digits, replace(SETTINGS, epochs=1))
    kept = load_file(tmp_path / "supernet.safetensors")
    assert kept.keys() == trained.network.state_dict().keys()
    names = {name.split(".")[1] for name in kept}
    assert names == {piece.weights for piece in trained.space.pieces}


def test_a_kind_with_a_learning_rate_of_zero_keeps_its_weights(
    few_digits: Dataset, tmp_path: Path
) -> None:
    rates = {"embedding": 0.0, "block": 2e-2, "head": 0.0}
    settings = replace(SETTINGS, epochs=1, learning_rates=rates)
    trained, _ = trained_in(tmp_path / "one", few_digits, settings)
    start, _ = trained_in(tmp_path / "none", few_digits, replace(settings, epochs=0))
    for name, parameter in trained.network.named_parameters():
        same = torch.equal(parameter, start.network.get_parameter(name))
        assert same != name.startswith("parts.stage"), name


def test_training_that_diverges_says_so_and_keeps_a_good_checkpoint(
    few_digits: Dataset, tmp_path: Path
) -> None:
    images = arrays(few_digits.train).images.copy()
    images[7] = np.nan
    data = replace(few_digits, train=Split(images, few_digits.train.labels))
    with pytest.raises(TrainingError, match="must be finite") as caught:
        trained_in(tmp_path, data, SETTINGS)
    checkpoint = tmp_path / "supernet.checkpoint.safetensors"
    assert str(checkpoint) in str(caught.value)
    assert all(torch.isfinite(tensor).all() for tensor in load_file(checkpoint).values())


def test_data_that_do_not_fit_are_refused(few_digits: Dataset, tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=r"takes \(3, 32, 32\)"):
        trained_in(tmp_path, few_digits, SETTINGS, space_of("cifar-elastic"))
    seven = own_net.of([Stage(own_net.Block, depth=(1, 2))], classes=7)
    with pytest.raises(ContractError, match="n_classes = 7"):
        trained_in(tmp_path, few_digits, SETTINGS, seven)
    maps = partial(own_net.Planes, planes=3)
    vectors = own_net.of([Stage(own_net.Block, depth=(1, 2))], head=maps)
    with pytest.raises(ContractError, match="must give logits"):
        trained_in(tmp_path, few_digits, SETTINGS, vectors)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("name", ["stateful", "recurrent", "normed"])
@pytest.mark.long
def test_networks_that_are_loaded_are_those_that_were_trained(
    few_digits: Dataset, tmp_path: Path, name: str
) -> None:
    """With what they learned in buffers, which are not shared but kept."""
    space, settings = space_of(name), replace(SETTINGS, epochs=2)
    trained, _ = trained_in(tmp_path, few_digits, settings, space)
    loaded = load_supernet(space, few_digits, settings, tmp_path)
    assert loaded is not None
    x = torch.from_numpy(arrays(few_digits.test).images[:50])
    for row in np.concatenate([*space.enumerate()]):
        one, other = trained.extract(row), loaded.extract(row)
        assert one.state_dict().keys() == other.state_dict().keys()
        for key, tensor in one.state_dict().items():
            assert torch.equal(tensor, other.state_dict()[key]), key
        with torch.no_grad():
            assert torch.equal(one(x), other(x))


def test_networks_of_a_trained_supernet_are_exported(few_digits: Dataset, tmp_path: Path) -> None:
    trained, _ = trained_in(tmp_path, few_digits, SETTINGS)
    space = trained.space
    x = images_of(space, 6).batch(np.arange(6))
    for row in rows_of(space, 4):
        network = trained.extract(row)
        metadata = {"space": space.name, "encoding": str(row.tolist())}
        tensors.write(tmp_path / "n.safetensors", network.state_dict(), metadata)
        with torch.inference_mode():
            assert torch.equal(load(tmp_path / "n.safetensors", space)(x), network(x))


@pytest.mark.long
def test_supernets_learn(tmp_path: Path) -> None:
    """What they are asked for is images that they never saw."""
    data = digits.load()
    trained, _ = trained_in(tmp_path, data, SupernetTraining(80, seed=0))
    accuracies = trained.evaluate(trained.space.landmarks, data.validation)
    assert accuracies[0] > 0.7
    assert accuracies[-1] > 0.9
