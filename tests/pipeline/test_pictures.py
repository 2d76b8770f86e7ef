"""Recipes that learn from folders of pictures, and what they say of device and precision."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import pytest
import torch
from pictures import write_pictures
from PIL import Image
from safetensors import safe_open
from torchvision import transforms

from tailorbird import spaces
from tailorbird.errors import RecipeError
from tailorbird.export.network import load
from tailorbird.pipeline.accuracy_sources.named_data import preprocessing_of
from tailorbird.recipe import Recipe
from tailorbird.recipe import load as load_recipe
from tailorbird.spaces.preprocessing import Preprocessing

Tailorbird = Callable[..., tuple[int, str, str]]

RECIPE = """
name = "pictures"
[space]
name = "elastic-resnet"
n_layers = 20
n_classes = 3
[latency]
runtime = "own_code:Simulator"
rounds = 2
[accuracy]
{accuracy}
[report]
networks = 3
random_networks = 2
[search]
population = 8
generations = 2
"""
LEARNING = """
data = "./pictures"
supernet_epochs = 1
evaluations = 10
batch = 6
loader_workers = 0
"""


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    write_pictures(tmp_path / "pictures", {"train": 12, "val": 12}, (40, 36))


def run(tailorbird: Tailorbird, command: str, accuracy: str) -> tuple[int, str]:
    Path("r.toml").write_text(RECIPE.format(accuracy=accuracy))
    code, _, err = tailorbird(command, "r.toml")
    return code, err


@pytest.mark.long
def test_a_folder_is_learned_from_and_its_preprocessing_is_told_wherever_weights_are(
    tailorbird: Tailorbird,
) -> None:
    stated = (
        "[accuracy.preprocessing]\ncrop = 0.9\nmean = [0.5, 0.5, 0.5]\nstd = [0.25, 0.25, 0.25]"
    )
    code, err = run(tailorbird, "run", LEARNING.replace('"pictures"', '"./pictures"') + stated)
    assert code == 0, err
    folder = Path("runs/pictures")
    wanted = Preprocessing((32, 32), 0.9, mean=(0.5,) * 3, std=(0.25,) * 3)
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["preprocessing"]["crop"] == 0.9
    with safe_open(folder / "weights" / "supernet.safetensors", framework="pt") as file:
        assert Preprocessing.from_json(file.metadata()["preprocessing"]) == wanted
    code, _, err = tailorbird("export", "r.toml")
    assert code == 0, err
    weights = folder / "network" / "network.safetensors"
    with safe_open(weights, framework="pt") as file:
        told = Preprocessing.from_json(file.metadata()["preprocessing"])
    assert told == wanted
    model = onnx.load(weights.with_suffix(".onnx"))
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert Preprocessing.from_json(metadata["preprocessing"]) == wanted

    # What the file says is all that a stranger needs to feed it with pictures.
    network = load(weights, spaces.get("elastic-resnet", batch=1, n_layers=20, n_classes=3))
    by_hand = transforms.Compose(
        [
            transforms.Resize(
                int(32 / told.crop), transforms.InterpolationMode(told.interpolation)
            ),
            transforms.CenterCrop(32),
            transforms.ToTensor(),
            transforms.Normalize(told.mean, told.std),
        ]
    )
    files = sorted(Path("pictures/val").rglob("*.jpg"))
    images = torch.stack([by_hand(Image.open(file).convert("RGB")) for file in files])
    classes = sorted({file.parent.name for file in files})
    labels = [classes.index(file.parent.name) for file in files]
    with torch.no_grad():
        right = (network(images).argmax(1).numpy() == labels).mean()
    with safe_open(weights, framework="pt") as file:
        architecture = file.metadata()["architecture"]
    front = pd.read_parquet(folder / "front.parquet").set_index("architecture").loc[architecture]
    both_halves = front["accuracy_validation"] + front["accuracy_test"]
    assert right == pytest.approx(both_halves / 2)


REFUSED = [
    ('data = "pictures"', r"'digits', 'cifar10-jpeg', a folder of images .*\./images"),
    ('data = "./nowhere"', r"data = './nowhere': .*train/CLASS.* is no folder"),
    ('data = "./pictures"\nn_images = 3', "images of a data set are counted: drop n_images"),
    (
        'data = "./pictures"\ndownload = true',
        "is where data says: drop download",
    ),
    ('data = "digits"\nsplit_seed = 1', "images of this data set are there already.*split_seed"),
    ("augmentation = { flip = 0 }", "images of this data set are there already.*augmentation"),
    (
        'module = "users_module:good"\npreprocessing = { crop = 1 }',
        "images of this data set are there already.*preprocessing",
    ),
    ('data = "./pictures"\npreprocessing = { size = 48 }', r"shape \(3, 48, 48\)"),
    ('data = "./pictures"\npreprocessing = { std = [1, 0, 1] }', r"std"),
    ('data = "./pictures"\npreprocessing = { mean = [1] }', "mean must be 3 finite numbers"),
    ('data = "./pictures"\npreprocessing = { channels = "grey" }', "must be 1 finite number|shape"),
    (
        'data = "./pictures"\npreprocessing = { interpolation = "cubic" }',
        "'bicubic'",
    ),
    ('data = "./pictures"\npreprocessing = { value_range = [1, 0] }', "value_range rise"),
    ('data = "./pictures"\naugmentation = { scale = [0.5, 0.1] }', "scale must be the least"),
    ('data = "./pictures"\naugmentation = { auto_augment = "rend-m9" }', "must be one that timm"),
    ('data = "./pictures"\naugmentation = { shear = 1 }', "no key .*shear"),
    ('data = "wds/shards"', "is a stream"),
    ('data = "torch/cifar10"\ndata_root = "nowhere"', "'torch/cifar10' must be on this machine"),
    ('device = "cuda:99"', r"\[accuracy\] device must be one that torch finds.*'cuda:99' is not"),
    ('device = "gpu"', "device.*'auto', 'cpu'"),
    ('precision = "f64"', "'f32', 'bf16' or 'f16'"),
    ("loader_workers = -1", "loader_workers"),
    ("accumulation = 0", "accumulation"),
    ("weight_averaging = 1", "weight_averaging"),
    ("drop_path = 1", "drop_path"),
    ("mixup = -1", "mixup"),
]


@pytest.mark.parametrize(("accuracy", "law"), REFUSED)
def test_what_cannot_be_is_refused_in_a_sentence(
    tailorbird: Tailorbird, accuracy: str, law: str
) -> None:
    code, err = run(tailorbird, "train", f"{accuracy}\nevaluations = 10\nsupernet_epochs = 1")
    assert code == 2, err
    assert err.count("\n") == 1
    assert re.search(law, err), err
    assert not list(Path("runs").rglob("*.safetensors"))


def test_a_device_that_is_not_there_is_refused_before_anything_is_measured(
    tailorbird: Tailorbird,
) -> None:
    code, err = run(tailorbird, "profile", LEARNING + 'device = "cuda:99"')
    assert code == 2
    assert "is not there" in err
    assert not list(Path("runs").rglob("*.sqlite"))


def recipe_of(preprocessing: dict[str, object]) -> Recipe:
    asked = {"data": "./p", "preprocessing": preprocessing}
    return load_recipe({"name": "a", "space": {"name": "deit-ti-s-b"}, "accuracy": asked})[0]


def test_preprocessing_follows_the_weights_unless_the_recipe_states_it() -> None:
    plain = recipe_of({})
    shape = (1, 3, 224, 224)
    one = Preprocessing((224, 224), 0.9)
    assert preprocessing_of(plain, shape, {}) == Preprocessing((224, 224), 0.875)
    assert preprocessing_of(plain, (1, 3, 32, 32), {}).crop == 1.0
    assert preprocessing_of(plain, (1, 1, 32, 32), {}).channels == "grey"
    assert preprocessing_of(plain, shape, {"ti": one, "s": one}) == one
    other = Preprocessing((240, 240), 0.95, mean=(0.5,) * 3)
    with pytest.raises(
        RecipeError,
        match=r"what ti and s learned from differs in size and crop and mean: 224 x 224.*crop 0\.9"
        r".*240 x 240.*0\.95.*State size and crop and mean in \[accuracy\.preprocessing\]",
    ):
        preprocessing_of(plain, shape, {"ti": one, "s": other})
    stated = recipe_of({"size": 224, "crop": 1.0, "mean": [0.4, 0.4, 0.4]})
    made = preprocessing_of(stated, shape, {"ti": one, "s": other})
    assert made == Preprocessing((224, 224), 1.0, mean=(0.4,) * 3)
    with pytest.raises(RecipeError, match="one or three channels"):
        preprocessing_of(plain, (1, 5, 32, 32), {})
    assert np.isfinite(made.scale_and_offset).all()


def test_anchors_that_learned_from_different_images_are_refused(tailorbird: Tailorbird) -> None:
    """What timm's `config.json` beside each file of weights says, before anything is decoded."""
    for name, crop in (("r20", 0.9), ("r56", 0.95)):
        Path(name).mkdir()
        config = {"input_size": [3, 32, 32], "crop_pct": crop}
        Path(name, "config.json").write_text(json.dumps({"pretrained_cfg": config}))
    recipe = """
name = "anchors"
[space]
name = "cifar-resnet"
n_classes = 3
[accuracy]
data = "./pictures"
{}
[accuracy.anchors]
r20 = "r20/model.pth"
r56 = "r56/model.pth"
"""
    Path("a.toml").write_text(recipe.format(""))
    code, _, err = tailorbird("train", "a.toml")
    assert code == 2
    assert re.search(r"what r20 and r56 learned from differs in crop: .*crop 0\.9,.*0\.95", err)
    Path("a.toml").write_text(recipe.format("preprocessing = { crop = 1.0 }"))
    code, _, err = tailorbird("train", "a.toml")
    assert code == 2
    assert "model.pth" in err  # which is not there: that comes later
