"""What training saves while it goes on, and says when it cannot."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch

from tailorbird.errors import RanksError, TrainingError, in_a_line
from tailorbird.training.checkpoint import Checkpoint, State

_SAVED_EVERY_S = 30.0
_EARLY = 20


@dataclass(slots=True)
class Saved:
    """What training goes on from, and its checkpoint."""

    state: State
    checkpoint: Checkpoint
    at: float = field(default_factory=time.monotonic)
    first: int = 0

    def load(self) -> int:
        """Restores all, and returns how many steps were done."""
        self.first = self.checkpoint.load(self.state)
        return self.first

    def is_early(self, step: int) -> bool:
        """True for the first steps of this process, in which it shows what is wrong in all."""
        return step - self.first < _EARLY

    def save(self, n_steps: int) -> None:
        """Writes the state after so many steps."""
        self.checkpoint.save(self.state, n_steps)
        self.at = time.monotonic()

    def save_at_times(self, n_steps: int) -> None:
        """Writes it if that was half a minute ago."""
        if time.monotonic() - self.at > _SAVED_EVERY_S:
            self.save(n_steps)

    @contextmanager
    def told(self) -> Iterator[None]:
        """Says where training goes on from, and what there is no way around.

        Raises:
            RanksError: if another rank ended.
            TrainingError: if memory is short.
        """
        try:
            yield
        except RanksError as error:
            raise RanksError(
                f"{error} The last good checkpoint is {str(self.checkpoint.path)!r}: run again to "
                "go on from there, with as many ranks or others."
            ) from error
        except torch.OutOfMemoryError as error:
            raise TrainingError(
                "Weights, their gradients and what a step computes must fit in the memory of one "
                f"device, but do not ({in_a_line(error)}). Lower batch, or raise accumulation: "
                "weights are not sharded over ranks here."
            ) from error
