"""Progress of long work: bars on a terminal, lines elsewhere."""

import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol

_UNUSUAL = re.compile(r"[^\n\t\x20-\x7e]")

Advance = Callable[[str], None]
"""Called once for each step that is finished, with its name."""


class Progress(Protocol):
    """Protocol of what long work reports to."""

    def task(self, title: str, total: int) -> AbstractContextManager[Advance]:
        """Opens a piece of work of `total` steps."""


class NoProgress:
    """Progress that is not shown."""

    @contextmanager
    def task(self, title: str, total: int) -> Iterator[Advance]:
        """Opens a piece of work."""
        yield lambda done: None


class TerminalProgress:
    """Bar with count, time taken and time left on standard error, as results go elsewhere."""

    @contextmanager
    def task(self, title: str, total: int) -> Iterator[Advance]:
        """Opens a piece of work."""
        from rich import progress
        from rich.console import Console
        from rich.table import Column

        flexible = Column(ratio=1, no_wrap=True, overflow="ellipsis")
        columns = (
            progress.TextColumn("{task.description:<10}"),
            progress.BarColumn(),
            progress.MofNCompleteColumn(),
            progress.TimeElapsedColumn(),
            progress.TextColumn("left"),
            progress.TimeRemainingColumn(),
            progress.TextColumn(
                "{task.fields[last]}", style="dim", markup=False, table_column=flexible
            ),
        )
        with progress.Progress(*columns, console=Console(stderr=True), expand=True) as bar:
            task = bar.add_task(title, total=total, last="")
            yield lambda done: bar.update(task, advance=1, last=printable(done))


@dataclass(frozen=True, slots=True)
class LineProgress:
    """Line now and then and one at the end, on standard error, where that is no terminal.

    Attributes:
        every_s: seconds between lines.
    """

    every_s: float = 10.0

    @contextmanager
    def task(self, title: str, total: int) -> Iterator[Advance]:
        """Opens a piece of work."""
        start = told = time.monotonic()
        n, untold = 0, False

        def tell(last: str) -> None:
            nonlocal told, untold
            told, untold = time.monotonic(), False
            seconds = told - start
            left = f", {seconds / n * (total - n):.0f} s left" if 0 < n < total else ""
            line = f"{title}: {n}/{total} in {seconds:.0f} s{left} {last}"
            sys.stderr.write(f"{printable(line.rstrip())}\n")

        def advance(done: str) -> None:
            nonlocal n, untold
            n, untold = n + 1, True
            if time.monotonic() - told >= self.every_s:
                tell(done)

        try:
            yield advance
        finally:
            if untold:
                tell("")


def on_stderr() -> Progress:
    """Returns bars on a terminal, lines elsewhere, nothing where standard error is closed."""
    if sys.stderr is None:
        return NoProgress()
    return TerminalProgress() if sys.stderr.isatty() else LineProgress()


def printable(text: str) -> str:
    r"""Escapes control characters of a text, but for tabs and ends of lines, such as to \u001b.

    So it does with what no terminal can show, such as marks that turn the order of reading, and
    halves of a surrogate pair. In JSON, the escapes stand for what they replace.
    """
    return _UNUSUAL.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    letter = match[0]
    if letter.isprintable():
        return letter
    return f"\\u{ord(letter):04x}" if ord(letter) < 2**16 else f"\\U{ord(letter):08x}"
