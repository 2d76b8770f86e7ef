"""Runs of recipes as commands open them, with progress and warnings on standard error."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tailorbird.cli.terminal import echo
from tailorbird.progress import on_stderr

if TYPE_CHECKING:
    from tailorbird.pipeline.run import Run


def opened(path: Path) -> "Run":
    """Opens the run of a recipe; errors are those of `open_recipe`."""
    from tailorbird.pipeline.opening import (
        open_recipe,  # loads much, and `--help` needs nothing of it
    )

    return open_recipe(path, on_stderr(), warn)


@contextmanager
def held(path: Path) -> Iterator["Run"]:
    """Opens the run of a recipe, and keeps other processes out of its folder meanwhile."""
    with opened(path).held() as run:
        yield run
        for remark in run.latency.losses:
            echo(remark, err=True)


def warn(sentence: str) -> None:
    """Prints a warning on standard error."""
    echo(f"tailorbird: {sentence}", err=True)
