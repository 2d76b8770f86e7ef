"""Progress of long work: bars on a terminal, lines elsewhere."""

import logging
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import Protocol

_LOG = logging.getLogger("tailorbird")
_UNUSUAL = re.compile(r"[^\n\t\x20-\x7e]")

Advance = Callable[[str], None]
"""Called once for each step that is finished, with its name."""


class Progress(Protocol):
    """Protocol of what long work reports to."""

    def step(self, name: str) -> AbstractContextManager[None]:
        """Opens a step of a run, inside which pieces of work are opened, or none."""

    def task(self, title: str, total: int) -> AbstractContextManager[Advance]:
        """Opens a piece of work of `total` steps."""


class NoProgress:
    """Progress that is not shown."""

    def step(self, name: str) -> AbstractContextManager[None]:
        """Opens a step of a run."""
        return nullcontext()

    @contextmanager
    def task(self, title: str, total: int) -> Iterator[Advance]:
        """Opens a piece of work."""
        yield lambda done: None


class TerminalProgress:
    """Bar with count, time taken and time left on standard error, as results go elsewhere."""

    def step(self, name: str) -> AbstractContextManager[None]:
        """Opens a step of a run, which has no bar of its own."""
        return nullcontext()

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


@dataclass(slots=True, eq=False)
class _Work:
    """Step or piece of work that is under way.

    Attributes:
        title: what it is called.
        total: pieces that it has; None for a step, whose pieces are not known.
        begin_s: when it began, by a clock.
        n: pieces that are done.
        last: name of the last one.
        first_told: when its first line was told, and pieces done by then. Pace counts from there,
            since what was known before a run was resumed is done at once.
    """

    title: str
    total: int | None
    begin_s: float
    n: int = 0
    last: str = ""
    first_told: tuple[float, int] | None = None

    def advance(self, done: str) -> None:
        """Counts a piece that is done."""
        self.n += 1
        self.last = done

    def line(self, now_s: float) -> str:
        """Line on what is done, time taken, time left if that can be told, and the last piece."""
        self.first_told = self.first_told or (now_s, self.n)
        if self.total is None:
            return f"{self.title}: {now_s - self.begin_s:.0f} s so far"
        last = f", last: {self.last}" if self.last else ""
        return f"{self.ended(now_s)}{self._left(now_s, self.total, *self.first_told)}{last}"

    def ended(self, now_s: float) -> str:
        """Line on what was done, and time taken."""
        seconds = f"{now_s - self.begin_s:.0f} s"
        if self.total is None:
            return f"{self.title} took {seconds}"
        return f"{self.title}: {self.n}/{self.total} in {seconds}"

    def _left(self, now_s: float, total: int, since_s: float, n_before: int) -> str:
        if not n_before < self.n < total:
            return ""
        pace_s = (now_s - since_s) / (self.n - n_before)
        return f", {pace_s * (total - self.n):.0f} s left"


@dataclass(frozen=True, slots=True)
class LineProgress:
    """Line now and then and one at the end, on standard error, where that is no terminal.

    A sleeping thread writes them, also while nothing advances, and they are logged as well.

    Attributes:
        every_s: seconds between lines.
        first_s: seconds until the first line of a piece of work; shorter ones have one at the end.
        step_s: seconds until that of a step, which may be refused before any work begins.
        clock: gives seconds.
    """

    every_s: float = 30.0
    first_s: float = 1.0
    step_s: float = 5.0
    clock: Callable[[], float] = time.monotonic
    _under_way: list[_Work] = field(default_factory=list)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Opens a step of a run; it has lines of its own while no piece of work is open in it."""
        with self._told(_Work(name, None, self.clock()), self.step_s):
            yield

    @contextmanager
    def task(self, title: str, total: int) -> Iterator[Advance]:
        """Opens a piece of work."""
        work = _Work(title, total, self.clock())
        with self._told(work, self.first_s):
            yield work.advance

    @contextmanager
    def _told(self, work: _Work, first_s: float) -> Iterator[None]:
        over = Event()
        teller = Thread(target=self._tell_until, args=(over, work, first_s), daemon=True)
        self._under_way.append(work)
        try:
            teller.start()
            yield
        finally:
            over.set()
            self._under_way.remove(work)
            if teller.is_alive():
                teller.join()
            if work.n or work.first_told:
                _tell(work.ended(self.clock()))

    def _tell_until(self, over: Event, work: _Work, wait_s: float) -> None:
        while not over.wait(wait_s):
            wait_s = self.every_s
            if self._under_way[-1:] == [work]:
                line = work.line(self.clock())
                _LOG.info("%s", line)
                _tell(line)


def _tell(line: str) -> None:
    with suppress(OSError, ValueError):  # nobody reads it any more
        sys.stderr.write(f"{printable(line)}\n")
        sys.stderr.flush()


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
