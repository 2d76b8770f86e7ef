"""Whose answers a network learns from where the recipe names no teacher."""

from pathlib import Path

import numpy as np
import own_net
import pytest
import torch
from arrays import arrays
from shared_spaces import trained
from torch import nn

from tailorbird import spaces
from tailorbird.progress import NoProgress
from tailorbird.spaces.shared import KINDS, smallest_and_largest
from tailorbird.spaces.unions import union_of
from tailorbird.spaces.unions.kinds import SharedUnion
from tailorbird.spaces.unions.members import landmarks_beside
from tailorbird.training import Dataset
from tailorbird.training.finetuning import train
from tailorbird.training.finetuning.settings import Finetuning


class KnownError(Exception):
    """Ends training once its teacher is known."""


def union(*, nested: bool) -> SharedUnion:
    small = own_net.space(2)
    two = union_of([spaces.get("digits-resnet", batch=2, max_stitches=1), small])
    if nested:
        two.name = "two"
        two = union_of([spaces.get("digits-elastic", batch=2), two])
    assert isinstance(two, SharedUnion)
    return two


@pytest.mark.parametrize("nested", [False, True])
def test_the_teacher_is_the_largest_network_of_the_same_space(
    few_digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nested: bool
) -> None:
    space = union(nested=nested)
    small = own_net.space(2)
    row = next(row for row in space.landmarks if "own-net" in space.describe(row))
    text = space.describe(row).removesuffix(small.describe(small.landmarks[0]))
    best = next(
        row
        for row in space.landmarks
        if space.describe(row) == text + small.describe(smallest_and_largest(small)[1])
    )
    asked: list[nn.Module] = []

    def loss_of(distillation: str, teacher: nn.Module, label_smoothing: float) -> None:
        asked.append(teacher)
        raise KnownError

    monkeypatch.setattr(train, "loss_of", loss_of)
    shared = trained(space)
    settings = Finetuning(1, 0, dict.fromkeys(KINDS, 0.1))
    with pytest.raises(KnownError):
        train.finetune(shared, row, few_digits, settings, tmp_path, NoProgress())
    images = torch.from_numpy(arrays(few_digits.test).images[:4])
    with torch.inference_mode():
        assert torch.equal(asked[0](images), shared.extract(best)(images))


def test_reference_architectures_of_a_space_are_those_of_its_own_networks() -> None:
    for space in (union(nested=True), own_net.space(2)):
        groups = [landmarks_beside(row, space) for row in space.landmarks]
        for row, group in zip(space.landmarks, groups, strict=True):
            assert row.tolist() in group.tolist()
        distinct = {str(group.tolist()): group for group in groups}
        assert len(distinct) == (3 if isinstance(space, SharedUnion) else 1)
        np.testing.assert_array_equal(np.concatenate([*distinct.values()]), space.landmarks)
