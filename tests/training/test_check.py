from dataclasses import replace

import numpy as np
import pytest
from arrays import arrays

from tailorbird.errors import RecipeError
from tailorbird.spaces.stitching import StitchSpace, Windows
from tailorbird.spaces.stitching.families.digits_resnet import DigitsResNet
from tailorbird.training import Dataset, Split
from tailorbird.training.data import digits
from tailorbird.training.stitching.train import check


def space(family: DigitsResNet) -> StitchSpace:
    return StitchSpace(family, Windows(2, 1), max_stitches=1)


def test_data_and_space_that_fit_are_let_through(few_digits: Dataset) -> None:
    check(space(DigitsResNet(1, (4, 8))), few_digits)


def test_data_of_other_classes_are_refused(few_digits: Dataset) -> None:
    with pytest.raises(RecipeError, match="10, and digits-resnet has n_classes = 7"):
        check(space(DigitsResNet(1, (4, 8), n_classes=7)), few_digits)
    with pytest.raises(ValueError, match=r"train split of 'digits' go from 0 to 9"):
        replace(few_digits, n_classes=7)


def test_images_of_another_shape_are_refused(few_digits: Dataset) -> None:
    wide = Split(arrays(few_digits.train).images.repeat(2, axis=3), few_digits.train.labels)
    with pytest.raises(RecipeError, match=r"shape \(1, 8, 16\), and the space takes \(1, 8, 8\)"):
        check(space(DigitsResNet(1, (4, 8))), replace(few_digits, train=wide))


@pytest.mark.parametrize("widths", [(8, 4), (4, 16, 8)])
def test_anchors_that_do_not_grow_are_refused(few_digits: Dataset, widths: tuple[int, ...]) -> None:
    with pytest.raises(RecipeError, match="from small to large") as caught:
        check(space(DigitsResNet(1, widths)), few_digits)
    first, second = widths[-2:]
    assert f"w{first} takes" in str(caught.value)
    assert f"w{second}, behind it" in str(caught.value)


def test_other_images_or_labels_under_the_same_name_are_told_apart() -> None:
    dataset = digits.load()
    train = dataset.train
    relabelled = Split(arrays(train).images, np.roll(train.labels, 1))
    inverted = Split(-arrays(train).images, train.labels)
    prints = {replace(dataset, train=s).fingerprint for s in (train, relabelled, inverted)}
    assert len(prints) == 3
    assert digits.load().fingerprint == dataset.fingerprint


def test_images_of_another_type_are_refused() -> None:
    train = digits.load().train
    with pytest.raises(ValueError, match="must be float32, but are float64"):
        Split(arrays(train).images.astype(np.float64), train.labels)
