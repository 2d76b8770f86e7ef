"""Executors of true evaluations: they run some networks together, but each fails alone."""

import math
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from tailorbird.errors import EvaluationError, TailorbirdError, in_a_line, raising
from tailorbird.spaces import FloatArray, IntArray

Row = tuple[int, ...]
"""A canonical row, hashable."""

CHUNK = 8
"""Rows that are evaluated together, since networks that begin alike share work.

On digits-resnet, where a network costs 0.14 s, this takes 0.97 to 1.06 times as long as all 149 at
once, and one by one takes 1.1 to 1.4 times as long. A kill loses the chunk that is in hand.
"""


class Evaluator(Protocol):
    """Gives true values of networks, such as accuracies."""

    def __call__(self, X: IntArray, /) -> FloatArray:
        """Values (n,) of canonical rows (n, d), each independent of the others."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result of evaluating a row: its value, or why it has none.

    Attributes:
        row: that was evaluated.
        value: its value; NaN if that failed.
        reason: why it failed; None if it did not.
    """

    row: Row
    value: float
    reason: str | None = None

    @classmethod
    def of(cls, row: Row, value: float) -> "Outcome":
        """Outcome of a row with a value, which is a failure if it is not finite."""
        return (
            cls(row, value)
            if math.isfinite(value)
            else cls.failed(row, f"the evaluator gave {value}")
        )

    @classmethod
    def failed(cls, row: Row, reason: str) -> "Outcome":
        """Outcome of a row without a value."""
        return cls(row, math.nan, reason)


class Work(Protocol):
    """Rows that are to be evaluated, of which other processes may take some as well."""

    def __len__(self) -> int:
        """Number of rows that may be left, from which it follows how many are taken at once."""

    def take(self, n: int) -> Sequence[Row]:
        """Takes at most n distinct canonical rows, to evaluate them; none if there are none.

        Neighbours are evaluated together, since networks that begin alike share work.
        """


class Executor(Protocol):
    """Runs an evaluator, here or elsewhere."""

    def run(self, work: Work) -> Generator[Outcome, None, None]:
        """Yields the outcome of each row that it takes once, in any order, as soon as it is known.

        Args:
            work: whose rows it takes, until there are none.
        """


@dataclass(frozen=True, slots=True)
class InProcess:
    """Runs an evaluator in this process.

    Attributes:
        evaluator: that is run.
        chunk: rows that are evaluated together.
    """

    evaluator: Evaluator
    chunk: int = CHUNK

    def run(self, work: Work) -> Generator[Outcome, None, None]:
        """Yields the outcome of each row that it takes once, in order."""
        while rows := work.take(self.chunk):
            yield from outcomes(self.evaluator, rows)


def outcomes(evaluator: Evaluator, rows: Sequence[Row]) -> Iterator[Outcome]:
    """Evaluates rows together, or one by one if the evaluator raises; yields each outcome."""
    try:
        with raising(lambda error: EvaluationError(in_a_line(error)), TailorbirdError):
            values = np.asarray(evaluator(np.array(rows, dtype=np.int64)), dtype=np.float64)
            if values.shape != (len(rows),):
                raise ValueError(
                    f"an evaluator must give values of shape ({len(rows)},), but gave "
                    f"{values.shape}"
                )
    except TailorbirdError as error:
        if len(rows) == 1:
            yield Outcome.failed(rows[0], str(error))
            return
        for row in rows:
            yield from outcomes(evaluator, [row])
        return
    yield from map(Outcome.of, rows, values.tolist())
