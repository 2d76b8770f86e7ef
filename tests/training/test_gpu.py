"""Training on a GPU, where torch finds one: the same as on the CPU, but for rounding."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from shared_spaces import space_of

from tailorbird.progress import NoProgress
from tailorbird.spaces import IntArray, SharedSpace
from tailorbird.spaces.shared import smallest_and_largest
from tailorbird.spaces.stitching import StitchSpace
from tailorbird.training import (
    Dataset,
    Finetuning,
    SupernetTraining,
    Trained,
    Training,
    finetune,
    train,
    train_supernet,
)
from tailorbird.training.compute import Compute
from tailorbird.training.optimization import Optimization

pytestmark = pytest.mark.gpu

CPU = Compute()
EVERYTHING = Optimization(
    accumulation=2, weight_averaging=0.9, mixup=0.2, cutmix=0.5, label_smoothing=0.1, drop_path=0.1
)


def gpu(precision: str = "f32") -> Compute:
    return Compute("auto", precision)


def ends_of(space: SharedSpace) -> IntArray:
    X: IntArray = smallest_and_largest(space)
    return X


def supernet(data: Dataset, folder: Path, settings: SupernetTraining) -> Trained:
    return train_supernet(space_of("digits-elastic"), data, settings, folder, NoProgress())


def test_a_supernet_learns_there_as_here(few_digits: Dataset, tmp_path: Path) -> None:
    settings = SupernetTraining(2, 0, 25)
    here, there = (
        supernet(few_digits, tmp_path / c.device, replace(settings, compute=c))
        for c in (CPU, gpu())
    )
    assert next(there.network.parameters()).device.type != "cpu"
    for (name, a), b in zip(
        here.network.state_dict().items(), there.network.state_dict().values(), strict=True
    ):
        torch.testing.assert_close(a, b.cpu(), atol=1e-2, rtol=1e-2, msg=name)
    X = ends_of(there.space)
    one, other = (t.outputs(X[0], few_digits.test) for t in (here, there))
    np.testing.assert_allclose(one, other, atol=0.1)


@pytest.mark.parametrize("precision", ["f32", "bf16", "f16"])
def test_everything_that_a_step_may_do_works_there(
    few_digits: Dataset, tmp_path: Path, precision: str
) -> None:
    settings = SupernetTraining(
        60, 0, 25, optimization=EVERYTHING, rule="sandwich", compute=gpu(precision)
    )
    made = supernet(few_digits, tmp_path, settings)
    row = ends_of(made.space)[1]
    assert made.evaluate(row[None], few_digits.test)[0] > 0.2
    network = made.extract(row)
    assert {p.device.type for p in network.parameters()} == {"cpu"}
    how = Finetuning(1, 0, dict.fromkeys(("embedding", "block", "head"), 1e-3), compute=gpu())
    assert finetune(made, row, few_digits, how, tmp_path / "f", NoProgress()).before is not None


def test_stitched_networks_are_trained_there(
    small_space: StitchSpace, few_digits: Dataset, tmp_path: Path
) -> None:
    made = [
        train(
            small_space,
            few_digits,
            Training(4, 0, 0, stitch_images=40, compute=compute),
            tmp_path / compute.device,
            NoProgress(),
        )
        for compute in (CPU, gpu())
    ]
    X = next(small_space.enumerate())
    here, there = (one.evaluate(X, few_digits.validation) for one in made)
    assert abs(here - there).max() < 0.1
