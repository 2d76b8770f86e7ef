"""Recipes whose supernets start from a file of the largest network's weights."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tailorbird import spaces
from tailorbird.pipeline.accuracy_sources.trained import TrainedAccuracy
from tailorbird.pipeline.opening import open_recipe
from tailorbird.spaces.shared import smallest_and_largest

Tailorbird = Callable[..., tuple[int, str, str]]

RECIPE = """
name = "started"
[space]
name = "{space}"
{settings}
[latency]
runtime = "own_code:Simulator"
rounds = 2
[accuracy]
module = "users_module:good"
supernet_epochs = 1
{accuracy}
"""


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Tensor]:
    """Weights of the largest network of digits-elastic, whose file is to be written here."""
    monkeypatch.chdir(tmp_path)
    space = spaces.get("digits-elastic")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        made: dict[str, Tensor] = space.build(smallest_and_largest(space)[1]).state_dict()
    return made


def write(accuracy: str, space: str = "digits-elastic", settings: str = "") -> None:
    Path("r.toml").write_text(RECIPE.format(space=space, settings=settings, accuracy=accuracy))


def refused(tailorbird: Tailorbird, command: str = "run") -> str:
    """The one sentence of a refusal, before anything was measured or trained."""
    code, out, err = tailorbird(command, "r.toml")
    assert code == 2, err
    assert not out
    assert err.count("\n") == 1
    assert not list(Path("runs").rglob("*.safetensors"))
    assert not list(Path("runs").rglob("*.sqlite"))
    return err


@pytest.mark.long
def test_training_starts_from_the_file_and_the_report_says_so(
    state: dict[str, Tensor], tailorbird: Tailorbird
) -> None:
    torch.save({"ema": state, "state_dict": state}, "w.pt")
    write('largest = { file = "w.pt", key = "ema" }\nimportance = "taylor"')
    code, _out, err = tailorbird("train", "r.toml")
    assert code == 0, err
    made = open_recipe(Path("r.toml")).accuracy
    assert isinstance(made, TrainedAccuracy)
    assert "largest = w.pt, importance = taylor" in made.inputs.origin()
    first = made.trained().fingerprint
    for other in ('largest = "w.pt"\nimportance = "none"', ""):
        write(other)
        assert tailorbird("train", "r.toml")[0] == 0
        again = open_recipe(Path("r.toml")).accuracy
        assert isinstance(again, TrainedAccuracy)
        assert again.trained().fingerprint != first


@pytest.mark.long
def test_a_head_for_other_classes_is_drawn_anew_and_that_is_said(
    state: dict[str, Tensor], tailorbird: Tailorbird
) -> None:
    torch.save({n: t for n, t in state.items() if "linear" not in n}, "w.pt")
    write('largest = "w.pt"')
    code, out, err = tailorbird("train", "r.toml")
    assert code == 0, err
    assert "The last layer of the head is drawn anew, since" in out + err


@pytest.mark.parametrize("command", ["run", "train", "search"])
def test_files_that_do_not_fit_are_refused(
    state: dict[str, Tensor], tailorbird: Tailorbird, command: str
) -> None:
    write('largest = "w.pt"')
    assert "w.pt" in refused(tailorbird, command)  # there is none
    del state["1.first.weight"]
    torch.save(state, "w.pt")
    told = refused(tailorbird, command)
    assert "do not fit the largest network of digits-elastic" in told
    assert "nothing / '1.first.weight'" in told


def test_several_state_dicts_are_chosen_from_by_a_key(
    state: dict[str, Tensor], tailorbird: Tailorbird
) -> None:
    torch.save({"first": state, "second": state}, "w.pt")
    write('largest = "w.pt"')
    told = refused(tailorbird)
    assert 'In [accuracy]: largest = { file = "w.pt", key = "first" }.' in told


def test_a_head_that_was_drawn_must_learn_and_cannot_tell_what_matters(
    state: dict[str, Tensor], tailorbird: Tailorbird
) -> None:
    torch.save({n: t for n, t in state.items() if "linear" not in n}, "w.pt")
    write('largest = "w.pt"\nimportance = "taylor"')
    assert 'Take importance = "l1"' in refused(tailorbird)
    write('largest = "w.pt"\nlearning_rates = { head = 0 }')
    assert "The learning rate of `head` must be above 0" in refused(tailorbird)


@pytest.mark.long
def test_a_space_with_an_axis_that_cannot_be_sorted_is_refused_by_it(
    state: dict[str, Tensor], tailorbird: Tailorbird
) -> None:
    space = spaces.get("fbnet", n_classes=10)
    torch.save(space.build(smallest_and_largest(space)[1]).state_dict(), "w.pt")
    Path("own_images.py").write_text(IMAGES)
    write('largest = "w.pt"', "fbnet", "n_classes = 10")
    text = Path("r.toml").read_text().replace("users_module:good", "own_images:load")
    Path("r.toml").write_text(text)
    told = refused(tailorbird)
    assert "axis 1 of 'expand.conv.weight' of l00-0-grouped_block" in told
    assert 'Take importance = "none"' in told


IMAGES = """
import numpy as np
from tailorbird.training import Dataset, Split

def load():
    rng = np.random.default_rng(0)
    def split():
        images = rng.standard_normal((20, 3, 32, 32), dtype=np.float32)
        return Split(images, np.arange(20) % 10)
    return Dataset("noise", 10, split(), split(), split())
"""
