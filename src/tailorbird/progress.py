"""How long work tells what it does, how much is left and how long that takes."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from tailorbird.printable import printable

Advance = Callable[[str], None]
"""Called with what was finished, once per piece of work."""


class Progress(Protocol):
    """Where long work reports to."""

    def task(self, title: str, total: int) -> AbstractContextManager[Advance]:
        """Opens a piece of work of `total` steps."""


class NoProgress:
    """Says nothing."""

    @contextmanager
    def task(self, title: str, total: int) -> Iterator[Advance]:
        """Opens a piece of work."""
        yield lambda done: None


class TerminalProgress:
    """A bar with count, time taken and time left, on standard error: results go elsewhere."""

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
