"""Gradient steps of a network whose weights several networks may share."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn, optim

from tailorbird.errors import TrainingError
from tailorbird.progress import Advance
from tailorbird.training.checkpoint import Checkpoint
from tailorbird.training.data.dataset import Dataset

_WEIGHT_DECAY = 1e-2
_LARGEST_GRADIENT = 5.0
_SAVED_EVERY_S = 30.0


Losses = Callable[[int, Tensor, Tensor], Iterable[Tensor]]
"""Losses of a step, given its number, images (n, …) and labels (n,); each is made when the gradient
of the one before it was had, so that one network at a time is in memory."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """Length of training, and what decides the images of each step.

    Attributes:
        epochs: passes of one network over the training images.
        batch: batch size.
        seed: of the order and the augmentation of the images.
        n_passes: of one network over the images of a step, that the step costs: where several
            networks see them, there are fewer steps; a mean where steps differ.
    """

    epochs: int
    batch: int
    seed: int
    n_passes: float = 1

    def n_steps(self, n_images: int) -> int:
        """Number of steps in all epochs."""
        n_passes = self.epochs * n_batches(n_images, self.batch)
        return min(n_passes, max(1, int(n_passes / self.n_passes)))


def n_batches(n_images: int, batch: int) -> int:
    """Steps of an epoch; a single last image, from which no batch norm learns, joins a batch."""
    whole, left = divmod(n_images, batch)
    return max(1, whole + (left > 1))


def fit(
    network: nn.Module,
    groups: Sequence[Mapping[str, object]],
    losses: Losses,
    dataset: Dataset,
    schedule: Schedule,
    checkpoint: Checkpoint,
    advance: Advance,
) -> None:
    """Trains with AdamW on a one-cycle schedule.

    A step depends on the weights, the state of the optimizer and its own number, so what goes on
    from a checkpoint ends up the same.

    Args:
        network: changed in place.
        groups: parameters that learn, `params`, with their peak learning rates, `lr`.
        losses: of a step; it goes down the sum of their gradients.
        dataset: its training split is used.
        schedule: epochs and seed.
        checkpoint: written every half minute, and resumed from.
        advance: called after each epoch, with its mean loss, learning rates and seconds.

    Raises:
        TrainingError: if the loss or its gradient is not finite; the last checkpoint is kept.
    """
    n_steps = schedule.n_steps(len(dataset.train.labels))
    if not groups or not n_steps:
        return
    optimizer = optim.AdamW(
        [dict(group) for group in groups], weight_decay=_WEIGHT_DECAY, fused=True
    )
    first = checkpoint.load(network, optimizer)
    rate = _one_cycle(optimizer, n_steps, first)
    network.train()
    if not first:
        checkpoint.save(network, optimizer, 0)  # so that there is a good one from the start
    saved = time.monotonic()
    n_done = first * schedule.epochs // n_steps
    for epoch in range(n_done):
        advance(f"epoch {epoch + 1} of {schedule.epochs}, trained before")
    passed = _Epoch(optimizer)
    with torch.random.fork_rng(devices=[]):  # layers such as dropout draw from torch's generator
        for step, x, labels in _batches(dataset, schedule, range(first, n_steps)):
            passed.add(_update(optimizer, losses(step, x, labels), step, checkpoint))
            rate.step()
            if time.monotonic() - saved > _SAVED_EVERY_S:
                checkpoint.save(network, optimizer, step + 1)
                saved = time.monotonic()
            n_now = (step + 1) * schedule.epochs // n_steps
            if n_now > n_done:
                for epoch in range(n_done, n_now):  # more than one where steps are as long
                    advance(f"epoch {epoch + 1} of {schedule.epochs}, {passed}")
                n_done, passed = n_now, _Epoch(optimizer)
    network.eval()


class _Epoch:
    """Mean loss, learning rates and seconds of one epoch, or of what was left of it.

    Args:
        optimizer: whose groups have learning rates; the lowest and the highest mean are shown.
    """

    def __init__(self, optimizer: optim.Optimizer) -> None:
        self._optimizer = optimizer
        self._losses: list[Tensor] = []
        self._rates: list[list[float]] = []
        self._begin = time.monotonic()

    def add(self, loss: Tensor) -> None:
        """Takes in the loss of a step, which nobody waits for before the epoch ends."""
        self._losses.append(loss)
        self._rates.append([group["lr"] for group in self._optimizer.param_groups])

    def __str__(self) -> str:
        loss = float(torch.stack(self._losses).mean())
        means = np.mean(self._rates, axis=0)
        rate = " to ".join(dict.fromkeys(f"{mean:.2g}" for mean in (means.min(), means.max())))
        return f"loss {loss:.4g}, rate {rate}, {time.monotonic() - self._begin:.1f} s"


def _one_cycle(
    optimizer: optim.Optimizer, n_steps: int, first: int
) -> optim.lr_scheduler.OneCycleLR:
    """The schedule of learning rates from step `first` on; a loaded optimizer knows its peaks.

    So does one that was saved before its first step, whose rates are low already.
    """
    peaks = [group.get("max_lr", group["lr"]) for group in optimizer.param_groups]
    return optim.lr_scheduler.OneCycleLR(
        optimizer, peaks, total_steps=n_steps + 1, last_epoch=first - 1 if first else -1
    )


def _batches(
    dataset: Dataset, schedule: Schedule, steps: range
) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Each step with its augmented images (n, …) and labels (n,); seeds torch for what it draws."""
    train = dataset.train
    per_epoch = n_batches(len(train.labels), schedule.batch)
    for step in steps:
        epoch, position = divmod(step, per_epoch)
        if position == 0 or step == steps.start:
            order = np.random.default_rng([schedule.seed, epoch]).permutation(len(train.labels))
        end = (position + 1) * schedule.batch if position < per_epoch - 1 else None
        index = order[position * schedule.batch : end]
        torch.manual_seed(_seed(schedule.seed, step))
        generator = torch.Generator().manual_seed(_seed(schedule.seed, step))
        x = dataset.augment(train.batch(index), generator)
        yield step, x, torch.from_numpy(train.labels[index])


def _update(
    optimizer: optim.Optimizer, losses: Iterable[Tensor], step: int, checkpoint: Checkpoint
) -> Tensor:
    """Steps down the clipped sum of the gradients of losses; returns their mean.

    Raises:
        TrainingError: if one of them is not finite; no weight is changed then.
    """
    optimizer.zero_grad()
    values = []
    for loss in losses:
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it so
        values.append(loss.detach())
    value = torch.stack(values).mean()
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    norm = nn.utils.clip_grad_norm_(parameters, _LARGEST_GRADIENT)
    if not (torch.isfinite(value) and torch.isfinite(norm)):
        raise TrainingError(
            f"Loss and gradient must be finite, but at step {step} the loss is "
            f"{value.item():g} and its gradient's norm {norm.item():g}. The last good "
            f"checkpoint is {str(checkpoint.path)!r}. Lower the learning rates, or "
            "look for values in the images that are not finite."
        )
    optimizer.step()
    return value


def _seed(seed: int, step: int) -> int:
    return int(np.random.SeedSequence([seed, step, 1]).generate_state(1)[0])
