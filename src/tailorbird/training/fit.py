"""Gradient steps of a network whose weights several networks may share."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn, optim

from tailorbird.errors import TrainingError
from tailorbird.progress import Advance
from tailorbird.training.checkpoint import Checkpoint
from tailorbird.training.data.dataset import Dataset
from tailorbird.training.optimization import Group, Optimization
from tailorbird.training.updates import Updates

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
    groups: Sequence[Group],
    losses: Losses,
    dataset: Dataset,
    schedule: Schedule,
    optimization: Optimization,
    checkpoint: Checkpoint,
    advance: Advance,
) -> Updates | None:
    """Trains by gradient steps.

    A step depends on the weights, the state of the optimizer and its own number, so what goes on
    from a checkpoint ends up the same.

    Args:
        network: changed in place.
        groups: parameters that learn, with their peak learning rates; others keep no gradient.
        losses: of a step; it goes down the sum of their gradients.
        dataset: its training split is used.
        schedule: epochs and seed.
        optimization: how a step changes weights.
        checkpoint: written every half minute, and resumed from.
        advance: called after each epoch, with its mean loss, learning rates, seconds and images a
            second.

    Returns:
        How often each part learned; None if there was nothing to learn.

    Raises:
        TrainingError: if the loss or its gradient is not finite; the last checkpoint is kept.
    """
    n_steps = schedule.n_steps(len(dataset.train.labels))
    if not groups or not n_steps:
        return None
    optimizer = optimization.optimizer_of(groups)
    updates = Updates.of(network, (p for g in optimizer.param_groups for p in g["params"]))
    saved = _Saved(network, optimizer, updates, checkpoint)
    first = saved.load()
    rate = optimization.rates(optimizer, n_steps, first, schedule.epochs)
    network.train()
    if not first:
        saved.save(0)  # so that there is a good one from the start
    told = _Epochs(schedule.epochs, n_steps, advance, first)
    with torch.random.fork_rng(devices=[]):  # layers such as dropout draw from torch's generator
        for step, x, labels in _batches(dataset, schedule, range(first, n_steps)):
            network.zero_grad()  # of parts as well that do not learn
            made = losses(step, x, labels)
            loss = _update(optimizer, optimization, made, step, checkpoint)
            rates = [*map(float, rate.get_last_lr())]
            rate.step()
            updates.add()
            saved.save_at_times(step + 1)
            told.add(loss, rates, len(labels))
    network.zero_grad()
    network.eval()
    return updates


@dataclass(slots=True)
class _Saved:
    """What training goes on from, and its checkpoint."""

    network: nn.Module
    optimizer: optim.Optimizer
    updates: Updates
    checkpoint: Checkpoint
    at: float = field(default_factory=time.monotonic)

    def load(self) -> int:
        """Restores all, and returns how many steps were done."""
        return self.checkpoint.load(self.network, self.optimizer, self.updates.counts)

    def save(self, n_steps: int) -> None:
        self.checkpoint.save(self.network, self.optimizer, n_steps, self.updates.counts)
        self.at = time.monotonic()

    def save_at_times(self, n_steps: int) -> None:
        if time.monotonic() - self.at > _SAVED_EVERY_S:
            self.save(n_steps)


class _Epochs:
    """Tells of each epoch its mean loss, learning rates, seconds and speed.

    Args:
        n_epochs: in all.
        n_steps: in all of them.
        advance: called with a text after each.
        first: steps that were taken before; of an epoch that had begun, the rest is told.
    """

    def __init__(self, n_epochs: int, n_steps: int, advance: Advance, first: int) -> None:
        self._n_epochs, self._n_steps = n_epochs, n_steps
        self._advance = advance
        self._step = first
        self._n_told = 0
        self._tell("trained before")
        self._begin()

    def add(self, loss: Tensor, rates: Sequence[float], n_images: int) -> None:
        """Takes in the loss of a step, which nobody waits for before the epoch ends."""
        self._losses.append(loss)
        self._rates.append(rates)
        self._n_images += n_images
        self._step += 1
        if self._step * self._n_epochs // self._n_steps > self._n_told:
            self._tell(self._text())
            self._begin()

    def _tell(self, text: str) -> None:
        """Tells of the epochs that ended, more than one where steps are as long."""
        n_ended = self._step * self._n_epochs // self._n_steps
        for epoch in range(self._n_told, n_ended):
            self._advance(f"epoch {epoch + 1} of {self._n_epochs}, {text}")
        self._n_told = n_ended

    def _begin(self) -> None:
        self._losses: list[Tensor] = []
        self._rates: list[Sequence[float]] = []
        self._n_images = 0
        self._begun_at = time.monotonic()

    def _text(self) -> str:
        loss = float(torch.stack(self._losses).mean())
        means = np.mean(self._rates, axis=0)
        rate = " to ".join(dict.fromkeys(f"{mean:.2g}" for mean in (means.min(), means.max())))
        seconds = max(time.monotonic() - self._begun_at, 1e-6)
        speed = f"{self._n_images / seconds:,.0f} images a second"
        return f"loss {loss:.4g}, rate {rate}, {seconds:.1f} s, {speed}"


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
    optimizer: optim.Optimizer,
    optimization: Optimization,
    losses: Iterable[Tensor],
    step: int,
    checkpoint: Checkpoint,
) -> Tensor:
    """Steps down the clipped sum of the gradients of losses; returns their mean.

    Raises:
        TrainingError: if one of them is not finite; no weight is changed then.
    """
    values = []
    for loss in losses:
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it so
        values.append(loss.detach())
    value = torch.stack(values).mean()
    norm = optimization.clipped(optimizer)
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
