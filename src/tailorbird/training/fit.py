"""Gradient steps of a network whose weights several networks may share."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
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
from tailorbird.training.data.mixing import Mixing
from tailorbird.training.epochs import Epochs
from tailorbird.training.global_batch_norms import global_batch_norms
from tailorbird.training.gradient_sum import add_up, check_same
from tailorbird.training.optimization import Group, Optimization
from tailorbird.training.ranks import Ranks
from tailorbird.training.saving import Saved
from tailorbird.training.shares import Share
from tailorbird.training.updates import Updates

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
    """Trains by gradient steps; each follows from its number and what a checkpoint holds.

    Args:
        network: changed in place.
        groups: parameters that learn, with their peak learning rates; others keep no gradient.
        losses: of a step; it goes down the sum of their gradients.
        dataset: its training split is used.
        schedule: epochs and seed.
        optimization: how a step changes weights.
        compute: the device, on which the network is, precision and ranks.
        checkpoint: written every half minute, and resumed from.
        advance: called after each epoch, with loss, rates, seconds and images a second.

    Returns:
        How often each part learned; None if there was nothing to learn.

    Raises:
        TrainingError: if the loss or its gradient is not finite; the last checkpoint is kept.
    """
    n_steps = schedule.n_steps(len(dataset.train.labels))
    if not groups or not n_steps:
        return None
    ranks, mixing = compute.ranks, optimization.mixing
    ranks.align([*network.state_dict().values()])
    learning = _Learning.of(network, groups, optimization, compute, checkpoint)
    first = learning.saved.load()
    rate = optimization.rates(learning.optimizer, n_steps, first, schedule.epochs)
    share_of = _Shares(ranks, optimization)
    images = StepImages(dataset, schedule.batch, schedule.seed, None if mixing.is_on else share_of)
    network.train()
    if not first:
        learning.saved.save(0)  # so that there is a good one from the start
    told = Epochs(schedule.epochs, n_steps, advance, first)
    # Dropout draws from torch's generator.
    with torch.random.fork_rng(devices=[]), global_batch_norms(network, ranks) as norms:
        for step, x, labels in steps_on_device(images, range(first, n_steps), compute):
            share = share_of(images.size(step))
            norms.is_on = share.n_takers == 1
            torch.manual_seed(seed_of(schedule.seed, step, 0 if share.is_whole else ranks.number))
            seed = seed_of(schedule.seed, step)
            mixed = _mixed(x, labels, dataset.n_classes, mixing, seed, share)
            loss = learning.take(step, *mixed, losses, share)
            told.add(loss, rate.get_last_lr(), share.n_images)
            rate.step()
            learning.saved.save_at_times(step + 1)
    learning.averages.put()
    ranks.align([*network.state_dict().values()])
    network.eval().zero_grad()
    return learning.updates


def _mixed(
    x: Tensor,
    labels: Tensor,
    n_classes: int,
    mixing: Mixing,
    seed: int,
    share: Share,
) -> tuple[Tensor, Tensor]:
    """Images of this rank and their targets; they are mixed with images of all ranks."""
    if not mixing.is_on:
        return x, labels
    mixed, targets = mixing.mixed(x, labels, n_classes, np.random.default_rng(seed))
    return share.of(mixed), share.of(targets)


@dataclass(frozen=True, slots=True)
class _Shares:
    """Share of the images of a step that this rank takes.

    Attributes:
        ranks: that share them.
        optimization: in how many parts they pass.
    """

    ranks: Ranks
    optimization: Optimization

    def __call__(self, n_images: int) -> Share:
        return self.ranks.share(n_images, self.optimization.n_parts(n_images))


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
    saved: Saved

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
        saved = Saved(state, checkpoint)
        return cls(network, optimizer, optimization, compute, scaler, updates, averages, saved)

    def take(self, step: int, x: Tensor, targets: Tensor, losses: Losses, share: Share) -> Tensor:
        """Steps down the clipped sum of the gradients of losses; returns their mean.

        Raises:
            TrainingError: if one of them is not finite; no weight is changed then.
        """
        with self.saved.told():
            return self._taken(step, x, targets, losses, share)

    def _taken(self, step: int, x: Tensor, targets: Tensor, losses: Losses, share: Share) -> Tensor:
        self.network.zero_grad()  # of parts as well that do not learn
        values = []
        parts = (torch.split(tensor, share.sizes) for tensor in (x, targets))
        for images, labels, weight in zip(*parts, share.weights, strict=True):
            for loss in self.compute.made(partial(losses, step, images, labels)):
                part = loss if weight == 1 else loss * weight
                self.scaler.scale(part).backward()
                values.append(part.detach())
        value = torch.stack(values).mean() * len(share.sizes)
        weights = [p for group in self.optimizer.param_groups for p in group["params"]]
        if self.saved.is_early(step):
            check_same(weights, self.compute.ranks)
        value = add_up(weights, value, share, self.compute.ranks)
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
