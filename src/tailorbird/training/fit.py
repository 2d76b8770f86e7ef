"""Gradient steps along routes of a shared network."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tailorbird.spaces.stitching import Part
from tailorbird.training.dataset import Split
from tailorbird.training.network import StitchedNetwork

_BATCH = 50
_WEIGHT_DECAY = 1e-2
_LARGEST_GRADIENT = 5.0


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast to learn.

    Attributes:
        epochs: passes over the training images.
        learning_rate: peak of a one-cycle schedule.
        seed: of the order and the shifts of the images.
    """

    epochs: int
    learning_rate: float
    seed: int


def fit(
    network: StitchedNetwork,
    parameters: Sequence[nn.Parameter],
    routes: Iterator[Sequence[Part]],
    train: Split,
    schedule: Schedule,
    advance: Callable[[], None],
    teacher: nn.Module | None = None,
) -> None:
    """Trains with AdamW, a newly drawn route per step, on images shifted by up to one pixel.

    Args:
        network: changed in place.
        parameters: which of its weights to train.
        routes: gives the route of each step.
        train: images and labels.
        schedule: epochs, learning rate, seed.
        advance: called after each epoch.
        teacher: if given, half of the loss is the cross-entropy to its soft answers.
    """
    images, labels = torch.from_numpy(train.images), torch.from_numpy(train.labels)
    generator = torch.Generator().manual_seed(schedule.seed)
    optimizer = torch.optim.AdamW(
        parameters, lr=schedule.learning_rate, weight_decay=_WEIGHT_DECAY, fused=True
    )
    rate = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        schedule.learning_rate,
        epochs=schedule.epochs,
        steps_per_epoch=-(-len(labels) // _BATCH),
    )
    network.train()
    for _ in range(schedule.epochs):
        order = torch.randperm(len(labels), generator=generator)
        for first in range(0, len(labels), _BATCH):
            batch = order[first : first + _BATCH]
            x = _shifted(images[batch], generator)
            logits = network(x, next(routes))
            loss = F.cross_entropy(logits, labels[batch])
            if teacher is not None:
                with torch.inference_mode():
                    answers = teacher(x).softmax(dim=1)
                loss = (loss + F.cross_entropy(logits, answers.clone())) / 2
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it so
            nn.utils.clip_grad_norm_(parameters, _LARGEST_GRADIENT)
            optimizer.step()
            rate.step()
        advance()
    network.eval()


def _shifted(images: Tensor, generator: torch.Generator) -> Tensor:
    """Each image (n, c, h, w) moved by -1, 0 or 1 pixels either way; its edge is repeated."""
    height, width = images.shape[2:]
    padded = F.pad(images, (1, 1, 1, 1), mode="replicate")
    windows = padded.unfold(2, height, 1).unfold(3, width, 1)  # (n, c, 3, 3, h, w)
    down, right = torch.randint(0, 3, (2, len(images)), generator=generator)
    return windows[torch.arange(len(images)), :, down, right]
