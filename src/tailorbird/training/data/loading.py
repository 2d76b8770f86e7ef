"""Loading: batches of images, on the device, read ahead by other processes where that pays."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from tailorbird.errors import ContractError, TailorbirdError, TrainingError, in_a_line
from tailorbird.training.compute import Compute
from tailorbird.training.data.dataset import Dataset, unchanged
from tailorbird.training.data.images import Draw, LabelledImages, on_device
from tailorbird.training.shares import Share

Batch = tuple[Tensor, Tensor]
"""Images, (n, channels, height, width), and labels, (n,)."""


def n_batches(n_images: int, batch: int) -> int:
    """Steps of an epoch; a single last image, from which no batch norm learns, joins a batch."""
    whole, left = divmod(n_images, batch)
    return max(1, whole + (left > 1))


@dataclass(slots=True)
class StepImages:
    """Images of training steps: which ones, and how they are augmented, follows from the number.

    Attributes:
        dataset: of which the training split is used.
        batch: batch size.
        seed: of order and augmentation.
        share: those that are read, of so many images of a step; all if None.
    """

    dataset: Dataset
    batch: int
    seed: int
    share: Callable[[int], Share] | None = None
    _order: tuple[int, NDArray[np.int64]] | None = field(default=None, init=False)

    def size(self, step: int) -> int:
        """Number of images of a step, read or not."""
        start, stop = self._place(step)[1]
        return stop - start

    def __call__(self, step: int) -> Batch:
        """Augmented images of a step, before they are normalised, and their labels."""
        train = self.dataset.train
        epoch, (start, stop) = self._place(step)
        if self._order is None or self._order[0] != epoch:
            rng = np.random.default_rng([self.seed, epoch])
            self._order = epoch, rng.permutation(len(train.labels))
        index = self._order[1][start:stop]
        taken = None if self.share is None else self.share(len(index)).index
        if taken is not None and self.dataset.augment is unchanged:
            index, taken = index[taken], None
        seed = seed_of(self.seed, step)
        torch.default_generator.manual_seed(seed)  # should an augmentation draw from it
        generator = torch.Generator().manual_seed(seed)
        images = self.dataset.augment(train.batch(index, Draw(self.seed, epoch)), generator)
        images = images.detach()  # what needs gradients cannot be sent by other processes
        if taken is not None:  # what is drawn for a batch is that of one process
            index, images = index[taken], images[taken]
        return images, torch.from_numpy(train.labels[index])

    def _place(self, step: int) -> tuple[int, tuple[int, int]]:
        """Epoch of a step, and which images of its order the step has."""
        n_images = len(self.dataset.train.labels)
        per_epoch = n_batches(n_images, self.batch)
        epoch, position = divmod(step, per_epoch)
        is_last = position == per_epoch - 1
        return epoch, (position * self.batch, n_images if is_last else (position + 1) * self.batch)


def seed_of(seed: int, step: int, rank: int = 0) -> int:
    """Seed of what is drawn in a step, by one of several ranks."""
    parts = [seed, step, 1, *([rank] if rank else [])]
    return int(np.random.SeedSequence(parts).generate_state(1)[0])


def steps_on_device(
    images: StepImages, steps: range, compute: Compute
) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Yields each step with its images as networks take them, and labels, on the device."""
    train, device = images.dataset.train, compute.torch_device
    for step, (x, labels) in zip(steps, _read(images, steps, train, compute), strict=True):
        yield step, on_device(train, x, device), labels.to(device, non_blocking=True)


def batches_on_device(
    images: LabelledImages, chunks: "list[NDArray[Any]]", compute: Compute
) -> Iterator[Tensor]:
    """Yields the images of some indices as networks take them, on the device, a batch a chunk."""
    numbers = range(len(chunks))
    for (x,) in _read(_Chunks(images, chunks), numbers, images, compute):
        yield on_device(images, x, compute.torch_device)


@dataclass(frozen=True, slots=True)
class _Chunks:
    """Batches of images by number."""

    images: LabelledImages
    chunks: "list[NDArray[Any]]"

    def __call__(self, number: int) -> tuple[Tensor]:
        return (self.images.batch(self.chunks[number]),)


def _read(
    read: Callable[[int], tuple[Tensor, ...]],
    numbers: range,
    images: LabelledImages,
    compute: Compute,
) -> Iterator[tuple[Tensor, ...]]:
    """Yields what is read by numbers, in their order.

    Raises:
        TrainingError: if a process that reads images died.
    """
    n_workers = 0 if images.is_in_memory else min(compute.n_workers, len(numbers))
    if not n_workers:
        yield from map(read, numbers)
        return
    loader: DataLoader[Any] = DataLoader(
        _Items(read),
        sampler=numbers,
        batch_size=None,  # an item is a batch already
        num_workers=n_workers,
        collate_fn=_as_it_is,
        pin_memory=compute.torch_device.type == "cuda",
        generator=torch.Generator(),  # the common one stays as it is
    )
    try:
        for item in loader:
            if isinstance(item, TailorbirdError):
                raise item
            yield item
    except RuntimeError as error:
        if isinstance(error, TailorbirdError):
            raise
        raise TrainingError(
            f"Processes that read images must live, but one failed ({error}). Where memory is "
            "short, lower [accuracy] loader_workers; 0 reads images without other processes."
        ) from error


class _Items(TorchDataset[Any]):
    """Batches by number; an error is given back, since torch would rewrite its sentence."""

    def __init__(self, read: Callable[[int], tuple[Tensor, ...]]) -> None:
        self._read = read

    def __getitem__(self, number: int) -> tuple[Tensor, ...] | TailorbirdError:
        try:
            return self._read(number)
        except TailorbirdError as error:
            return error
        except Exception as error:  # noqa: BLE001  # of the user's own code
            return ContractError(
                "Images must be read and augmented without an error, but in batch "
                f"{number} there is one ({in_a_line(error)})."
            )


def _as_it_is(item: Any) -> Any:
    return item
