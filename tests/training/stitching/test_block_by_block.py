"""Anchors that learn from the largest one block by block."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from arrays import arrays

from tailorbird import spaces
from tailorbird.errors import ContractError
from tailorbird.progress import NoProgress
from tailorbird.published.data_folder import data_folder
from tailorbird.spaces.stitching import Part, StitchSpace, Windows
from tailorbird.spaces.stitching.families.cifar_resnet import CifarResNet
from tailorbird.spaces.stitching.families.digits_resnet import DigitsResNet
from tailorbird.spaces.workload import Workload
from tailorbird.training import Dataset, Split, Trained, Training, load, train
from tailorbird.training.stitching.block_by_block import _meetings, check_meetings
from tailorbird.training.stitching.train import load_anchors, placed

FOLDER, FILE = "resnet_cifar10_akamaster", "resnet56-4bfd9763.th"
SPACE = StitchSpace(DigitsResNet(2, widths=(4, 8, 16), depth=3), Windows(2, 1), max_stitches=1)
SETTINGS = Training(30, 0, 0, batch=20, anchors_from="largest")


def weights(made: Trained, anchor: int) -> dict[str, torch.Tensor]:
    prefix = f"parts.block-{anchor}-"
    return {n: t for n, t in made.network.state_dict().items() if n.startswith(prefix)}


@pytest.mark.long
def test_the_largest_is_as_labels_teach_it_and_others_are_not(
    few_digits: Dataset, tmp_path: Path
) -> None:
    made = train(SPACE, few_digits, SETTINGS, tmp_path / "a", NoProgress())
    plain = train(
        SPACE, few_digits, replace(SETTINGS, anchors_from="labels"), tmp_path / "b", NoProgress()
    )
    for anchor, is_same in ((2, True), (1, False), (0, False)):
        pairs = zip(weights(made, anchor).values(), weights(plain, anchor).values(), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs) is is_same


def test_stitches_of_the_space_have_no_part_in_it(few_digits: Dataset, tmp_path: Path) -> None:
    settings = replace(SETTINGS, train_epochs=2)
    made = train(SPACE, few_digits, settings, tmp_path / "a", NoProgress())
    alone = train(SPACE.with_at_most(0), few_digits, settings, tmp_path / "b", NoProgress())
    for anchor in range(3):
        ours, theirs = weights(made, anchor), weights(alone, anchor)
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def agreement(made: Trained, dataset: Dataset) -> float:
    """Share of validation images that the smallest anchor names as the largest does."""
    x = torch.from_numpy(arrays(dataset.validation).images)
    with torch.inference_mode():
        small, large = (made.extract(made.space.landmarks[a])(x).argmax(1) for a in (0, 2))
    return float((small == large).float().mean())


def test_others_learn_to_answer_as_the_largest(few_digits: Dataset, tmp_path: Path) -> None:
    made = train(SPACE, few_digits, SETTINGS, tmp_path, NoProgress())
    fresh = train(
        SPACE, few_digits, replace(SETTINGS, train_epochs=1), tmp_path / "b", NoProgress()
    )
    assert agreement(made, few_digits) > 0.5 > agreement(fresh, few_digits)


def test_it_is_kept_with_what_it_was_made_by(few_digits: Dataset, tmp_path: Path) -> None:
    settings = replace(SETTINGS, train_epochs=2)
    made = train(SPACE, few_digits, settings, tmp_path, NoProgress())
    again = load(SPACE, few_digits, settings, tmp_path)
    assert again is not None
    assert again.fingerprint == made.fingerprint
    for other in (
        replace(settings, anchors_from="labels"),
        replace(settings, learning_rates={**settings.learning_rates, "stitch": 1e-3}),
        replace(settings, learning_rates={**settings.learning_rates, "block": 1e-3}),
    ):
        assert load_anchors(SPACE, few_digits, other, tmp_path) is None


def test_a_training_that_is_killed_between_anchors_ends_as_a_whole_one(
    few_digits: Dataset, tmp_path: Path
) -> None:
    settings = replace(SETTINGS, train_epochs=3)
    whole = train(SPACE, few_digits, settings, tmp_path / "whole", NoProgress())
    # As if killed after two of three anchors.
    part = tmp_path / "part"
    train(SPACE, few_digits, settings, part, NoProgress())
    for name in ("anchor-w4.safetensors", "stitched.safetensors"):
        (part / name).unlink()
    again = train(SPACE, few_digits, settings, part, NoProgress())
    assert again.fingerprint == whole.fingerprint


@pytest.mark.data(f"{FOLDER}/{FILE}")
def test_an_anchor_with_a_file_stays_as_it_is(tmp_path: Path) -> None:
    family = CifarResNet(2, ("r20", "r56"), ((3,) * 3, (9,) * 3), name="two")
    space = StitchSpace(family, Windows(2, 1), max_stitches=0)
    rng = np.random.default_rng(0)
    images = rng.standard_normal((40, 3, 32, 32), dtype=np.float32)
    split = Split(images, rng.integers(0, 10, 40))
    dataset = Dataset("made up", 10, split, split, split)
    file = data_folder() / FOLDER / FILE
    settings = Training(1, 0, 0, batch=20, anchors={"r56": file}, anchors_from="largest")
    made = train(space, dataset, settings, tmp_path / "a", NoProgress())
    network, _ = placed(space, 0, {"r56": file}, {})
    theirs = {n: t for n, t in network.named_parameters() if "-1-" in n}
    for name, parameter in made.network.named_parameters():
        if name in theirs:
            assert torch.equal(parameter, theirs[name])
    with_labels = replace(settings, anchors_from="labels")
    assert load_anchors(space, dataset, with_labels, tmp_path / "a") is None


@pytest.mark.parametrize("name", ["cifar-resnet", "deit-ti-s-b", "swin-ti-s-b", "resnet-18-50"])
def test_blocks_meet_where_both_have_done_the_same_share_of_a_stage(name: str) -> None:
    space = spaces.get(name)
    assert isinstance(space, StitchSpace)
    check_meetings(space)
    family = space.family
    largest = len(family.anchors) - 1
    for anchor in range(largest):
        places = _meetings(family, anchor, largest)
        assert len(places) in (space.depths[anchor] - 1, space.depths[anchor])
        left, entered = (np.array([place[i] for place in places]) for i in (1, 3))
        assert (np.diff(left) > 0).all()
        assert (np.diff(entered) >= 0).all()
        ends = np.cumsum(family.stages[anchor])[:-1] - 1
        larger_ends = np.cumsum(family.stages[largest])[:-1]
        at_ends = [int(entered[left == end][0]) for end in ends]
        assert at_ends == larger_ends.tolist()


class OtherGrids(DigitsResNet):
    """The largest anchor halves its maps in the first block."""

    def workload(self, part: Part) -> Workload:
        made = super().workload(part)
        if part.anchor < 2 or part.kind == "embedding" or part.index == 0:
            return made
        n, channels, _, _ = made.inputs[0]
        return replace(made, inputs=((n, channels, 4, 4),))


def test_anchors_of_other_grids_are_refused() -> None:
    family = OtherGrids(2, widths=(4, 8, 16), depth=3)
    space = StitchSpace(family, Windows(2, 1), max_stitches=0)
    with pytest.raises(ContractError, match=r"equal grids\. .* Drop anchors_from"):
        check_meetings(space)
