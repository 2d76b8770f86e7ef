"""One wrong input: its files, the commands that read them, and why one may accept it."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that has ended.

    Attributes:
        arguments: behind `tailorbird`.
        code: that it exited with.
        out: what it printed.
        err: its messages.
        raised: what came through the command line itself; None as it should be.
    """

    arguments: tuple[str, ...]
    code: int
    out: str
    err: str
    raised: str | None = None


Reason = Callable[[Sequence[Ran]], str | None]
"""Why it is right that these commands accepted an input, by another way of reading it; None if
there is no reason. An AssertionError tells what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Case:
    """An input whose files lie in a folder.

    Attributes:
        change: what was done to a right input.
        commands: that read it, one after another, whatever comes of each.
        reason: see `Reason`.
        is_right: whether nothing is wrong with it, so that each command must accept it.
        environment: variables of the commands, besides those that are there.
    """

    change: str
    commands: tuple[tuple[str, ...], ...]
    reason: Reason
    is_right: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)


class Fuzzer(Protocol):
    """Makes inputs of one class."""

    def original(self, number: int, folder: Path) -> Case:
        """A right input; all its commands must accept it, or cases made of it would say nothing."""

    def case(self, rng: random.Random, folder: Path) -> Case:
        """A wrong input, or one that may seem so, with its files in an empty folder."""
