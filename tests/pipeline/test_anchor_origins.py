"""Recipes whose anchors learn from the largest one."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from small_recipe import small

from tailorbird.errors import RecipeError
from tailorbird.pipeline.opening import open_recipe
from tailorbird.published.data_folder import data_folder

Tailorbird = Callable[..., tuple[int, str, str]]

FOLDER, FILE = "resnet_cifar10_akamaster", "resnet56-4bfd9763.th"


def recipe(more: str) -> Path:
    path = Path("r.toml")
    path.write_text(small("r", accuracy=f"stitch_epochs = 1\nbatch = 100\n{more}"))
    return path


@pytest.mark.long
def test_anchors_of_a_recipe_learn_from_the_largest(tailorbird: Tailorbird) -> None:
    recipe("")
    assert tailorbird("train", "r.toml")[0] == 0
    plain = {a: load_file(f"runs/r/weights/anchor-w{a}.safetensors") for a in (4, 32)}
    recipe('anchors_from = "largest"')
    assert tailorbird("train", "r.toml")[0] == 0
    for a, is_same in ((32, True), (4, False)):
        made = load_file(f"runs/r/weights/anchor-w{a}.safetensors")
        assert all(torch.equal(made[name], plain[a][name]) for name in made) is is_same


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules of a recipe that is no file are looked for in the current folder, which stays so."""
    monkeypatch.chdir(tmp_path)


def of_files(anchors: dict[str, str]) -> dict[str, object]:
    """Tables of a recipe whose anchors have files."""
    return {
        "name": "r",
        "space": {"name": "cifar-resnet"},
        "accuracy": {"data": "cifar10-jpeg", "anchors": anchors, "anchors_from": "largest"},
    }


def test_it_has_no_part_where_no_anchor_learns_so() -> None:
    with pytest.raises(RecipeError, match="anchors_from has no part in this recipe"):
        open_recipe(of_files(dict.fromkeys(("r20", "r32", "r44"), "a.pt")))


@pytest.mark.data(f"{FOLDER}/{FILE}")
def test_anchors_without_a_file_have_epochs_to_learn() -> None:
    run = open_recipe(of_files({"r56": str(data_folder() / FOLDER / FILE)}))
    assert run.accuracy.inputs.settings().train_epochs == 30  # type: ignore[attr-defined]  # trained
