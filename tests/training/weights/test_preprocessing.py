import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tailorbird.errors import WeightsError
from tailorbird.spaces.preprocessing import Preprocessing
from tailorbird.training.weights.preprocessing import preprocessing_of

TOLD = Preprocessing((224, 224), 0.95, "bilinear", (0.5,) * 3, (0.25,) * 3)
CONFIG = {
    "architecture": "resnet18",
    "pretrained_cfg": {
        "input_size": [3, 224, 224],
        "crop_pct": 0.95,
        "interpolation": "bilinear",
        "mean": [0.5, 0.5, 0.5],
        "std": [0.25, 0.25, 0.25],
    },
}


def test_a_file_of_ours_says_what_its_weights_were_trained_with(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_file({"a": torch.ones(1)}, path, {"preprocessing": TOLD.to_json()})
    (tmp_path / "config.json").write_text(json.dumps(CONFIG | {"pretrained_cfg": {}}))
    assert preprocessing_of(path) == TOLD


def test_a_config_of_timm_beside_the_weights_says_it(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"a": torch.ones(1)}, path)
    assert preprocessing_of(path) is None
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    assert preprocessing_of(path) == TOLD
    assert preprocessing_of(tmp_path / "model.pth") == TOLD  # whatever is there


@pytest.mark.parametrize("text", ["", "[]", "{", "{}", '{"pretrained_cfg": 3}', "\0"])
def test_other_files_say_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    assert preprocessing_of(tmp_path / "model.safetensors") is None


@pytest.mark.parametrize(
    "wrong", [{"crop_pct": 7}, {"mean": [1]}, {"input_size": 3}, {"interpolation": "odd"}]
)
def test_what_cannot_be_is_refused(tmp_path: Path, wrong: dict[str, object]) -> None:
    config = {"pretrained_cfg": CONFIG["pretrained_cfg"] | wrong}  # type: ignore[operator]  # a dict
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(WeightsError, match=r"that in .*config\.json.* is none"):
        preprocessing_of(tmp_path / "model.safetensors")
