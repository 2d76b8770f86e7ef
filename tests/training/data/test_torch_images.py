import os
import random
import signal
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from tailorbird.errors import ContractError, TrainingError
from tailorbird.training import Dataset, TorchImages
from tailorbird.training.compute import Compute
from tailorbird.training.data.images import Draw
from tailorbird.training.data.loading import StepImages, steps_on_device
from tailorbird.training.trial import check_images, tried_batch


class Noisy(TorchDataset[tuple[Tensor, int]]):
    """Images to which each of the common generators adds something."""

    def __init__(self, n: int = 6) -> None:
        self.n = n
        self.read: list[int] = []

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        self.read.append(i)
        drawn = random.random() + np.random.rand() + torch.rand(())  # noqa: NPY002  # as users do
        return torch.full((1, 4, 4), float(i)) + drawn / 10, i % 3


def noisy(train: int, validation: int, test: int) -> Dataset:
    splits = (TorchImages(Noisy(n)) for n in (train, validation, test))
    return Dataset("mine", 3, next(splits), next(splits), next(splits))


def test_what_is_drawn_depends_on_seed_epoch_and_number_alone() -> None:
    images = TorchImages(Noisy())
    index = np.arange(6)
    one = images.batch(index, Draw(0, 1))
    random.seed(9)
    assert torch.equal(images.batch(index[::-1], Draw(0, 1)).flip(0), one)
    assert not torch.equal(images.batch(index, Draw(0, 2)), one)
    assert torch.equal(images.batch(index), images.batch(index))


def test_plain_images_are_those_without_augmentation() -> None:
    class Plain(Noisy):
        def __getitem__(self, i: int) -> tuple[Tensor, int]:
            return torch.full((1, 4, 4), float(i)), i % 3

    images = TorchImages(Noisy(), plain=Plain())
    assert images.batch(np.arange(6)).flatten(1).mean(1).tolist() == [0, 1, 2, 3, 4, 5]
    assert (images.batch(np.arange(6), Draw(0, 0)).flatten(1).mean(1) > torch.arange(6)).all()


def test_labels_are_read_only_where_nobody_tells_them() -> None:
    class Told(Noisy):
        targets = (2, 1, 0, 2, 1, 0)

    told = Told()
    assert TorchImages(told).labels.tolist() == [2, 1, 0, 2, 1, 0]
    assert set(told.read) == {0}
    given = Noisy()
    assert TorchImages(given, labels=np.array([1] * 6)).labels.tolist() == [1] * 6
    assert set(given.read) == {0}
    assert TorchImages(Noisy()).labels.tolist() == [0, 1, 2, 0, 1, 2]


def test_other_processes_read_the_same() -> None:
    data = noisy(9, 4, 4)
    steps = StepImages(data, 4, 0)
    both = (steps_on_device(steps, range(4), Compute(loader_workers=n)) for n in (0, 2))
    assert all(torch.equal(x[1], y[1]) for x, y in zip(*both, strict=True))
    check_images(data)
    assert tried_batch(data, 4).images.shape == (2, 1, 4, 4)
    assert data.fingerprint == noisy(9, 4, 4).fingerprint


@pytest.mark.parametrize(
    ("item", "law"),
    [
        (lambda: np.zeros((1, 4, 4)), "gave ndarray"),
        (lambda: (np.zeros((1, 4, 4)), 0), "gave ndarray as the image"),
        (lambda: (torch.zeros(1, 4, 4, dtype=torch.uint8), 0), "gave torch.uint8 Tensor"),
        (lambda: (torch.zeros(1, 4, 4), "ant"), "its classes are none"),
        (lambda: 1 / 0, "it failed .ZeroDivisionError"),
    ],
)
def test_items_that_are_no_images_are_refused(item: Any, law: str) -> None:
    class Odd(Noisy):
        def __getitem__(self, i: int) -> tuple[Tensor, int]:
            return item()  # type: ignore[no-any-return]  # on purpose

    with pytest.raises(ContractError, match=rf"A torch Dataset must give images.*{law}"):
        TorchImages(Odd())


def test_images_of_several_shapes_are_refused() -> None:
    class Growing(Noisy):
        def __getitem__(self, i: int) -> tuple[Tensor, int]:
            return torch.zeros(1, 4 + i, 4), 0

    images = TorchImages(Growing())
    with pytest.raises(ContractError, match=r"one shape.*\(1, 4, 4\).*\(1, 7, 4\)"):
        images.batch(np.array([0, 3]))


def test_a_dataset_that_draws_from_elsewhere_is_refused() -> None:
    class Own(Noisy):
        rng = np.random.default_rng()

        def __getitem__(self, i: int) -> tuple[Tensor, int]:
            return torch.full((1, 4, 4), float(self.rng.random())), 0

    data = Dataset("mine", 3, TorchImages(Own()), TorchImages(Own()), TorchImages(Own()))
    with pytest.raises(ContractError, match="same again for the same seed"):
        tried_batch(data, 4)


@pytest.mark.parametrize("n_workers", [0, 2])
def test_images_that_need_gradients_are_read(n_workers: int) -> None:
    class Learned(Noisy):
        def __getitem__(self, i: int) -> tuple[Tensor, int]:
            return torch.full((1, 4, 4), float(i), requires_grad=True), i % 3

    data = Dataset(
        "mine", 3, TorchImages(Learned()), TorchImages(Learned()), TorchImages(Learned())
    )
    for _, x, _ in steps_on_device(
        StepImages(data, 3, 0), range(2), Compute(loader_workers=n_workers)
    ):
        assert not x.requires_grad


@pytest.mark.parametrize("error", [RuntimeError("odd"), KeyError("odd")])
def test_an_error_of_an_augmentation_is_told_from_a_dead_process(error: Exception) -> None:
    def fails(images: Tensor, generator: torch.Generator) -> Tensor:
        raise error

    data = replace(noisy(9, 4, 4), augment=fails)
    steps = steps_on_device(StepImages(data, 4, 0), range(3), Compute(loader_workers=1))
    with pytest.raises(ContractError, match=rf"augmented without an error.*{type(error).__name__}"):
        next(steps)


def test_a_process_that_dies_is_told() -> None:
    def dies(images: Tensor, generator: torch.Generator) -> Tensor:
        os.kill(os.getpid(), signal.SIGKILL)
        return images

    data = replace(noisy(9, 4, 4), augment=dies)
    steps = steps_on_device(StepImages(data, 4, 0), range(3), Compute(loader_workers=1))
    with pytest.raises(TrainingError, match="Processes that read images must live"):
        next(steps)


def test_classes_that_are_no_whole_numbers_and_other_numbers_of_plain_images_are_refused() -> None:
    class Halves(Noisy):
        targets = (0.5,) * 6

    with pytest.raises(ContractError, match="its classes are none"):
        TorchImages(Halves())
    with pytest.raises(ContractError, match=r"as many as those with.*4 and 6"):
        TorchImages(Noisy(6), plain=Noisy(4))


def test_every_epoch_is_augmented_anew() -> None:
    steps = StepImages(noisy(4, 4, 4), 4, 0)
    first, second = (sorted(steps(step)[0].flatten(1).mean(1).tolist()) for step in range(2))
    assert first != second


def test_no_images_are_refused() -> None:
    with pytest.raises(ContractError):
        TorchImages(Noisy(0))
