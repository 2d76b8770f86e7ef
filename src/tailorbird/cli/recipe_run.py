"""Runs of recipes as commands open them, with progress and warnings on standard error."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tailorbird.cli.terminal import echo
from tailorbird.errors import told_of
from tailorbird.progress import NoProgress, on_stderr

if TYPE_CHECKING:
    from tailorbird.pipeline.opening import Unchosen
    from tailorbird.pipeline.run import Run

_OF_STEP: Mapping[str, "Unchosen"] = {"run": "choose", "train": "choose", "plan": "suppose"}


@contextmanager
def opened(path: Path, *, unchosen: "Unchosen" = "refuse") -> Iterator["Run"]:
    """Opens the run of a recipe; errors inside name its path, those of `open_recipe` included.

    Args:
        path: of the recipe.
        unchosen: as in `open_recipe`.
    """
    from tailorbird.pipeline.opening import open_recipe  # loads much; `--help` needs nothing of it

    with told_of(path):
        yield open_recipe(path, on_stderr(), warn, unchosen=unchosen)


@contextmanager
def beside(path: Path, step: str) -> Iterator["Run"]:
    """Opens the run of a recipe beside the process that holds its folder, and says nothing.

    Args:
        path: of the recipe.
        step: method of the run that is called.
    """
    from tailorbird.pipeline.opening import open_recipe

    with told_of(path):
        unchosen = _OF_STEP.get(step, "refuse")
        opened_run = open_recipe(path, NoProgress(), lambda said: None, unchosen=unchosen)
        with opened_run.beside() as run:
            yield run


@contextmanager
def held(path: Path, step: str) -> Iterator["Run"]:
    """Opens the run of a recipe, and keeps other processes out of its folder meanwhile.

    Args:
        path: of the recipe.
        step: method of the run that is called; what it needs is asked for before there is a folder.
    """
    with opened(path, unchosen=_OF_STEP.get(step, "refuse")) as opened_run:
        opened_run.require(step)
        with opened_run.held() as run:
            yield run
            for remark in run.latency.losses:
                echo(remark, err=True)


def warn(sentence: str) -> None:
    """Prints a warning on standard error."""
    echo(f"tailorbird: {sentence}", err=True)
