"""Trials of data, augmentation, teacher and evaluator before long training."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tailorbird.errors import ContractError, raising
from tailorbird.spaces.module import said_of
from tailorbird.spaces.trial import check_output, check_untouched
from tailorbird.training.data.dataset import SPLITS, Dataset
from tailorbird.training.data.images import Draw, LabelledImages
from tailorbird.training.data.mixing import Mixing
from tailorbird.training.score import Score, as_score

_IMAGES = 2
_AUGMENTED = 8  # times, since what is drawn by chance may be drawn alike
_SURE = 8.0  # a logit that is clearly above noise of standard deviation 1
_TIMIDER = 100.0  # times smaller are the logits of networks that have hardly learned


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Training images as a step sees them, (n, channels, height, width), and labels (n,).

    Of mixed images, labels are the probabilities of classes, (n, classes).
    """

    images: Tensor
    labels: Tensor


def as_dataset(made: object) -> Dataset:
    """Returns what a user's function made, if it is a data set.

    Raises:
        ContractError: if it is none.
    """
    if not isinstance(made, Dataset):
        raise ContractError(
            f"It must give a tailorbird.training.Dataset, but gave {type(made).__name__}. "
            "Return one."
        )
    return made


def as_teacher(made: object) -> nn.Module:
    """Returns what a user's function made, if it is a module.

    Raises:
        ContractError: if it is none.
    """
    if not isinstance(made, nn.Module):
        raise ContractError(
            f"It must give a torch.nn.Module, but gave {type(made).__name__}. Return one."
        )
    return made


def check_images(dataset: Dataset) -> None:
    """Refuses images that no network can learn from.

    Raises:
        ContractError: naming the first one.
    """
    for name in SPLITS:
        getattr(dataset, name).check(f"the {name} split of {dataset.name!r}")


def tried_batch(dataset: Dataset, batch: int) -> Batch:
    """Two training images, augmented; fewer where a step or the split has no more.

    As many as a step has are augmented as well, but not returned.

    Args:
        dataset: whose augmentation is tried.
        batch: batch size.

    Raises:
        ContractError: if the augmentation does not do what it must.
    """
    train = dataset.train
    index = np.linspace(0, len(train.labels) - 1, min(_IMAGES, batch, len(train.labels)), dtype=int)
    before, draw = train.batch(index, Draw(0, 0)), Draw(0, 0)
    if not torch.equal(train.batch(index, draw), before):
        raise ContractError(
            "Images must be the same again for the same seed, or what is resumed ends up "
            "different, but they are not. Let transforms draw from Python's, NumPy's or torch's "
            "common generators, none of their own."
        )
    made = []
    for _ in range(_AUGMENTED):
        with (
            torch.random.fork_rng(devices=[]),
            said_of("The data's `augment` must take images and a torch.Generator, but it failed"),
        ):
            torch.manual_seed(0)
            made.append(dataset.augment(train.batch(index, draw), torch.Generator().manual_seed(0)))
    what = "the data's `augment`"
    check_output(_normalised(train, made[0]), before.shape, what, "training")
    if not torch.equal(train.batch(index, draw), before):
        raise ContractError(
            "The data's `augment` must leave the data set as it is, but changes its images. Change "
            "those that it is given."
        )
    if not all(torch.equal(made[0], again) for again in made[1:]):
        raise ContractError(
            "The data's `augment` must do the same again, or what is resumed ends up different, "
            "but it does not. Draw from the generator that it is given."
        )
    step = np.linspace(0, len(train.labels) - 1, min(batch, len(train.labels)), dtype=int)
    images = train.batch(step, draw)
    shape = images.shape
    with (
        torch.random.fork_rng(devices=[]),
        said_of(f"The data's `augment` must take {len(step)} images, but it failed"),
    ):
        many = dataset.augment(images, torch.Generator().manual_seed(0))
    check_output(_normalised(train, many), shape, what, "training")
    return Batch(_normalised(train, made[0].detach()), torch.from_numpy(train.labels[index]))


def _normalised(train: LabelledImages, made: Tensor) -> Tensor:
    """What networks take of an augmented batch; what is no batch of pixels stays as it is."""
    is_pixels = isinstance(made, Tensor) and made.dtype == torch.uint8
    return train.normalised(made) if is_pixels else made


def mixed(batch: Batch, mixing: Mixing, n_classes: int) -> Batch:
    """A batch as a step sees it whose images are mixed: then labels are (n, classes)."""
    rng = np.random.default_rng(0)
    return Batch(*mixing.mixed(batch.images, batch.labels, n_classes, rng))


def check_teacher(teacher: nn.Module, batch: Batch, n_classes: int) -> None:
    """Refuses a teacher that gives no logits.

    Raises:
        ContractError: if so.
    """
    x = batch.images.clone()
    with torch.no_grad(), said_of("A teacher must take images, but it failed"):
        logits = teacher.cpu().eval()(x)
    check_untouched(x, batch.images, 0, "the teacher")
    check_output(logits, (len(x), n_classes), "the teacher", "distillation")


def check_score(score: Score, dataset: Dataset) -> None:
    """Refuses an evaluator that cannot tell right answers from wrong ones.

    It is called as networks are evaluated: with outputs and labels of whole splits.

    Raises:
        ContractError: if so.
    """
    rng = np.random.default_rng(0)
    for name in ("validation", "test"):
        labels = getattr(dataset, name).labels
        rows = np.arange(len(labels))
        outputs = rng.standard_normal((len(labels), dataset.n_classes), dtype=np.float32)
        outputs[rows, labels] = _SURE
        with said_of(
            f"An evaluator must take outputs {outputs.shape} and labels {labels.shape}, arrays of "
            "NumPy's, but it failed"
        ):
            best, again = (_scored(score, outputs, labels) for _ in range(2))
            _scored(score, outputs / _TIMIDER, labels)
        outputs[rows, labels] = -_SURE
        wrong = labels + rng.integers(1, dataset.n_classes, len(labels))  # some may be near
        outputs[rows, wrong % dataset.n_classes] = _SURE
        if best != again:
            raise ContractError(
                f"A score must be the same for the same outputs, but was {best:g} and {again:g}. "
                "Leave nothing to chance, and keep nothing from one call to the next."
            )
        try:
            with raising(ValueError, ContractError):
                worst = _scored(score, outputs, labels)
        except ContractError:
            raise
        except ValueError:  # what fails for some networks leaves these out
            continue
        if not best > worst:
            raise ContractError(
                "A score must be higher for right answers than for wrong ones, but where all are "
                f"right it is {best:g}, and where all are wrong {worst:g}. Of an error, give 1 "
                "minus it."
            )


def _scored(score: Score, outputs: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    before = labels.copy()
    value = as_score(score(outputs.copy(), labels))
    if not np.array_equal(labels, before):
        labels[:] = before
        raise ContractError("An evaluator must leave labels as they are, but changes them.")
    return value
