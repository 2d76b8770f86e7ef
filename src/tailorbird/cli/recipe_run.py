"""Runs of recipes as commands open them, with progress and warnings on standard error."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tailorbird.cli.terminal import echo
from tailorbird.errors import told_of
from tailorbird.progress import on_stderr

if TYPE_CHECKING:
    from tailorbird.pipeline.run import Run


@contextmanager
def opened(path: Path) -> Iterator["Run"]:
    """Opens the run of a recipe; errors inside name its path, those of `open_recipe` included."""
    from tailorbird.pipeline.opening import open_recipe  # loads much; `--help` needs nothing of it

    with told_of(path):
        yield open_recipe(path, on_stderr(), warn)


@contextmanager
def held(path: Path) -> Iterator["Run"]:
    """Opens the run of a recipe, and keeps other processes out of its folder meanwhile."""
    with opened(path) as opened_run, opened_run.held() as run:
        yield run
        for remark in run.latency.losses:
            echo(remark, err=True)


def warn(sentence: str) -> None:
    """Prints a warning on standard error."""
    echo(f"tailorbird: {sentence}", err=True)
