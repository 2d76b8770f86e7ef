"""Templates of pages and plots, and texts that they have in common."""

from functools import cache
from importlib.resources import files

import jinja2


def text_of(path: str) -> str:
    """Text of a file, by its path in this room."""
    return files(__package__).joinpath(*path.split("/")).read_text(encoding="utf-8")


@cache
def template(path: str) -> jinja2.Template:
    """A template, by its path in this room; all texts in it are escaped."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(text_of(path))
