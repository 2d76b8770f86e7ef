"""Gradient steps of a network whose weights several networks may share."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Self

import numpy as np
import torch
from torch import Tensor, nn, optim

from tailorbird.errors import TrainingError
from tailorbird.progress import Advance
from tailorbird.training.averaging import WeightAverages
from tailorbird.training.checkpoint import Checkpoint, State
from tailorbird.training.compute import Compute
from tailorbird.training.data.dataset import Dataset
from tailorbird.training.data.loading import StepImages, n_batches, seed_of, steps_on_device
from tailorbird.training.optimization import Group, Optimization
from tailorbird.training.updates import Updates

_SAVED_EVERY_S = 30.0
_LEAST_SCALE = 2.0**-14  # of losses, below which no gradient can be the scale's fault

Losses = Callable[[int, Tensor, Tensor], Iterable[Tensor]]
"""Losses of a step, given its number, images (n, …) and labels (n,), or probabilities of classes
(n, classes) of mixed ones; each is made when the gradient of the one before it was had, so that one
network at a time is in memory."""


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


def fit(
    network: nn.Module,
    groups: Sequence[Group],
    losses: Losses,
    dataset: Dataset,
    schedule: Schedule,
    optimization: Optimization,
    compute: Compute,
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
        compute: the device, on which the network is, and precision.
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
    learning = _Learning.of(network, groups, optimization, compute, checkpoint)
    first = learning.saved.load()
    rate = optimization.rates(learning.optimizer, n_steps, first, schedule.epochs)
    images = StepImages(dataset, schedule.batch, schedule.seed)
    network.train()
    if not first:
        learning.saved.save(0)  # so that there is a good one from the start
    told = _Epochs(schedule.epochs, n_steps, advance, first)
    with torch.random.fork_rng(devices=[]):  # layers such as dropout draw from torch's generator
        for step, x, labels in steps_on_device(images, range(first, n_steps), compute):
            seed = seed_of(schedule.seed, step)
            torch.manual_seed(seed)
            rng = np.random.default_rng(seed)
            mixed, targets = optimization.mixing.mixed(x, labels, dataset.n_classes, rng)
            loss = learning.take(step, mixed, targets, losses)
            rates = [*map(float, rate.get_last_lr())]
            rate.step()
            learning.saved.save_at_times(step + 1)
            told.add(loss, rates, len(labels))
    learning.averages.put()
    network.zero_grad()
    network.eval()
    return learning.updates


@dataclass(frozen=True, slots=True)
class _Learning:
    """What a step changes.

    Attributes:
        network: that is trained.
        optimizer: of its weights.
        optimization: how a step changes these.
        compute: precision.
        scaler: of losses.
        updates: counts them, by part.
        averages: of weights.
        saved: the checkpoint.
    """

    network: nn.Module
    optimizer: optim.Optimizer
    optimization: Optimization
    compute: Compute
    scaler: torch.amp.GradScaler
    updates: Updates
    averages: WeightAverages
    saved: "_Saved"

    @classmethod
    def of(
        cls,
        network: nn.Module,
        groups: Sequence[Group],
        optimization: Optimization,
        compute: Compute,
        checkpoint: Checkpoint,
    ) -> Self:
        optimizer, scaler = optimization.optimizer_of(groups), compute.scaler()
        weights = [p for group in optimizer.param_groups for p in group["params"]]
        updates = Updates.of(network, weights)
        averages = WeightAverages.of(network, weights, optimization.weight_averaging)
        state = State(network, optimizer, updates.counts, averages.values, scaler)
        saved = _Saved(state, checkpoint)
        return cls(network, optimizer, optimization, compute, scaler, updates, averages, saved)

    def take(self, step: int, x: Tensor, targets: Tensor, losses: Losses) -> Tensor:
        """Steps down the clipped sum of the gradients of losses; returns their mean.

        Raises:
            TrainingError: if one of them is not finite; no weight is changed then.
        """
        self.network.zero_grad()  # of parts as well that do not learn
        n_parts = self.optimization.n_parts(len(x))
        values = []
        for images, labels in zip(
            x.tensor_split(n_parts), targets.tensor_split(n_parts), strict=True
        ):
            share = len(images) / len(x)
            for loss in self.compute.made(partial(losses, step, images, labels)):
                part = loss if n_parts == 1 else loss * share
                self.scaler.scale(part).backward()  # type: ignore[no-untyped-call]  # torch's
                values.append(part.detach())
        value = torch.stack(values).mean() * n_parts
        weights = (p for group in self.optimizer.param_groups for p in group["params"])
        has_gradients = any(weight.grad is not None for weight in weights)
        if has_gradients:  # else a scaler would miss them
            self.scaler.unscale_(self.optimizer)
        norm = self.optimization.clipped(self.optimizer)
        if not torch.isfinite(value) or not (torch.isfinite(norm) or self._may_scale_down):
            raise TrainingError(
                f"Loss and gradient must be finite, but at step {step} the loss is "
                f"{value.item():g} and its gradient's norm {norm.item():g}. The last good "
                f"checkpoint is {str(self.saved.checkpoint.path)!r}. Lower the learning rates, or "
                "look for values in the images that are not finite."
            )
        if has_gradients and self.scaler.is_enabled():
            self.scaler.step(self.optimizer)
            self.scaler.update()
        else:
            self.optimizer.step()
        self.updates.add()
        self.averages.add(step)
        return value

    @property
    def _may_scale_down(self) -> bool:
        """True if losses can be scaled by less, where the gradient overflows in `f16`."""
        return self.scaler.is_enabled() and self.scaler.get_scale() > _LEAST_SCALE


@dataclass(slots=True)
class _Saved:
    """What training goes on from, and its checkpoint."""

    state: State
    checkpoint: Checkpoint
    at: float = field(default_factory=time.monotonic)

    def load(self) -> int:
        """Restores all, and returns how many steps were done."""
        return self.checkpoint.load(self.state)

    def save(self, n_steps: int) -> None:
        self.checkpoint.save(self.state, n_steps)
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
        """Takes in the loss of a step."""
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
