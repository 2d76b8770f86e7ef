"""Runs of recipes as commands open them, with progress and warnings on standard error."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tailorbird.cli.terminal import echo
from tailorbird.errors import told_of
from tailorbird.progress import NoProgress, on_stderr

if TYPE_CHECKING:
    from tailorbird.pipeline.run import Run


@contextmanager
def opened(path: Path, *, may_train: bool = False, is_planned: bool = False) -> Iterator["Run"]:
    """Opens the run of a recipe; errors inside name its path, those of `open_recipe` included.

    Args:
        path: of the recipe.
        may_train: whether anchors may be trained, where a recipe lets them choose its stitches.
        is_planned: whether nothing but its plan is asked for.
    """
    from tailorbird.pipeline.opening import open_recipe  # loads much; `--help` needs nothing of it

    with told_of(path):
        yield open_recipe(path, on_stderr(), warn, may_train=may_train, is_planned=is_planned)


@contextmanager
def beside(path: Path, *, may_train: bool = False) -> Iterator["Run"]:
    """Opens the run of a recipe beside the process that holds its folder, and says nothing."""
    from tailorbird.pipeline.opening import open_recipe

    with told_of(path):
        opened_run = open_recipe(path, NoProgress(), lambda said: None, may_train=may_train)
        with opened_run.beside() as run:
            yield run


@contextmanager
def held(path: Path, step: str, *, may_train: bool = False) -> Iterator["Run"]:
    """Opens the run of a recipe, and keeps other processes out of its folder meanwhile.

    Args:
        path: of the recipe.
        step: method of the run that is called; what it needs is asked for before there is a folder.
        may_train: as `opened`.
    """
    with opened(path, may_train=may_train, is_planned=step == "plan") as opened_run:
        opened_run.require(step)
        with opened_run.held() as run:
            yield run
            for remark in run.latency.losses:
                echo(remark, err=True)


def warn(sentence: str) -> None:
    """Prints a warning on standard error."""
    echo(f"tailorbird: {sentence}", err=True)
