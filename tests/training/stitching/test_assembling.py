"""Anchors whose modules learn one at a time, and stitching layers that learn features first."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tailorbird.progress import NoProgress
from tailorbird.spaces.stitching import StitchSpace, Windows
from tailorbird.spaces.stitching.families.digits_resnet import DigitsResNet
from tailorbird.training import Dataset, Trained, Training, train
from tailorbird.training.stitching.train import load_anchors

SPACE = StitchSpace(DigitsResNet(2, widths=(4, 8, 16), depth=4), Windows(2, 1), max_stitches=1)
SETTINGS = Training(6, 5, 0, batch=20)


def weights(made: Trained, prefix: str) -> dict[str, torch.Tensor]:
    return {n: t for n, t in made.network.state_dict().items() if n.startswith(f"parts.{prefix}")}


def are_equal(one: Trained, other: Trained, prefix: str) -> bool:
    pairs = zip(weights(one, prefix).values(), weights(other, prefix).values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_modules_are_of_the_larger_anchors_alone(few_digits: Dataset, tmp_path: Path) -> None:
    settings = replace(SETTINGS, stitch_epochs=0)
    plain = train(SPACE, few_digits, settings, tmp_path / "a", NoProgress())
    meta = replace(settings, anchors_from="meta")
    made = train(SPACE, few_digits, meta, tmp_path / "b", NoProgress())
    assert are_equal(made, plain, "block-0-")
    assert not are_equal(made, plain, "block-2-")
    for name in ("modules-anchor-w8.safetensors", "anchor-w8.safetensors", "stitched.safetensors"):
        (tmp_path / "b" / name).unlink()  # as if killed before
    again = train(SPACE, few_digits, meta, tmp_path / "b", NoProgress())
    assert again.fingerprint == made.fingerprint
    assert load_anchors(SPACE, few_digits, settings, tmp_path / "b") is None


def test_stitches_learn_features_while_anchors_stay(few_digits: Dataset, tmp_path: Path) -> None:
    plain = train(SPACE, few_digits, SETTINGS, tmp_path, NoProgress())
    assert not (tmp_path / "stitches.safetensors").exists()
    features = replace(SETTINGS, stitch_loss="features")
    made = train(SPACE, few_digits, features, tmp_path, NoProgress())
    assert (tmp_path / "stitches.safetensors").exists()
    assert not are_equal(made, plain, "stitch-")
    (tmp_path / "stitched.safetensors").unlink()
    again = train(SPACE, few_digits, features, tmp_path, NoProgress())
    assert again.fingerprint == made.fingerprint


@pytest.mark.parametrize("stitch_loss", ["task", "features"])
def test_an_anchor_alone_has_no_stitch_to_learn(
    few_digits: Dataset, tmp_path: Path, stitch_loss: str
) -> None:
    settings = replace(SETTINGS, stitch_loss=stitch_loss, routes="uniform")
    made = train(SPACE.with_at_most(0), few_digits, settings, tmp_path, NoProgress())
    assert made.fingerprint
