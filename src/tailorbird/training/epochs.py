"""Epochs of training, as progress tells of them."""

import time
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from tailorbird.progress import Advance


class Epochs:
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

    def add(self, loss: Tensor, rates: Sequence[float | Tensor], n_images: int) -> None:
        """Takes in the loss of a step."""
        self._losses.append(loss)
        self._rates.append([*map(float, rates)])
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
