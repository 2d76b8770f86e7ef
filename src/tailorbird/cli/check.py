"""Command that checks a recipe, and says what is before it."""

from pathlib import Path
from typing import Annotated

import typer

from tailorbird.cli.recipe_run import held
from tailorbird.cli.terminal import echo, echo_json


def check(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="A TOML file.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")] = False,
) -> None:
    """Checks a recipe as `run` does before it begins, and says what `run` does and for how long.

    Example: `tailorbird check mine.toml`.
    """
    from dataclasses import asdict  # loads much

    from tailorbird.pipeline.planned_work import in_words, sum_in_words, total, unknown

    with held(recipe, "plan") as run:
        plan = run.plan()
        if as_json:
            seconds = None if unknown(plan) else total(plan)
            echo_json({"plan": [asdict(work) for work in plan], "seconds": seconds})
            return
        command = "run" if run.recipe.space.programs is None else "profile"
        echo(f"Nothing is wrong with the recipe. What `tailorbird {command} {recipe}` does:")
        for work in plan:
            echo(f"  {work.kind:<9} {work.what}{_after(in_words(work.seconds))}")
        echo(sum_in_words(plan))


def _after(words: str) -> str:
    return f": {words}" if words else ""
