"""Command that writes a first recipe."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from tailorbird.cli.terminal import tell
from tailorbird.errors import RecipeError

_OF_IMAGES = (
    "digits, cifar10-jpeg, a folder of images with train/CLASS and val/CLASS, or MODULE:NAME, a "
    "function of your own that gives a Dataset."
)
_OF_DEVICES = (
    "local, HOST:PORT of TVM's RPC server, or a device whose table comes with the package."
)


def init(
    file: Annotated[
        Path, typer.Argument(metavar="FILE.toml", help="Path of the recipe, which is new.")
    ],
    space: Annotated[
        str | None, typer.Option(help="A space that comes with the package, such as digits-resnet.")
    ] = None,
    module: Annotated[
        str | None,
        typer.Option(
            metavar="MODULE:NAME",
            help="A function of your own that gives a space; if there is none, one to begin with.",
        ),
    ] = None,
    programs: Annotated[
        str | None,
        typer.Option(
            metavar="MODULE:NAME",
            help="A function of your own that gives modules to time; if there is none, likewise.",
        ),
    ] = None,
    data: Annotated[str | None, typer.Option(help=_OF_IMAGES)] = None,
    device: Annotated[str | None, typer.Option(help=_OF_DEVICES)] = None,
    batch: Annotated[
        int, typer.Option(min=1, max=4096, help="Images of which every latency is.")
    ] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")] = False,
) -> None:
    """Writes a recipe with comments; on a terminal it asks if no option says which networks.

    Examples: `tailorbird init mine.toml --space digits-resnet --batch 16`, or
    `tailorbird init blocks.toml --programs my_blocks:programs`.
    """
    from tailorbird.pipeline.starting.start import Wish

    given = {"name": space, "module": module, "programs": programs}
    named = [(key, value) for key, value in given.items() if value is not None]
    if len(named) > 1:
        raise RecipeError("Name one of --space, --module and --programs.")
    if not named:
        named, data, device = [_asked_networks()], _asked_data(data), _asked_device(device)
    written = Wish(file, named[0], data, device or "local", batch).write()
    tell(
        f"Written: {', '.join(map(str, written))}. `tailorbird check {file}` says what the recipe "
        "does, and for how long.",
        {"files": [str(path) for path in written]},
        as_json,
    )


def _asked_networks() -> tuple[str, str]:
    from tailorbird.pipeline.starting.first_recipe import known_spaces

    known = ", ".join(known_spaces())
    if not sys.stdin.isatty():
        raise RecipeError(
            "A recipe says which networks: give --space with one of the names below, or --module "
            f"or --programs with a function of your own. Spaces: {known}."
        )
    asked = f"Which networks ({known}; or MODULE:NAME of your own)"
    answer: str = typer.prompt(asked, default="digits-resnet")
    return ("module" if ":" in answer else "name"), answer


def _asked_data(data: str | None) -> str:
    return data or typer.prompt(f"Which images ({_OF_IMAGES.rstrip('.')})", default="digits")


def _asked_device(device: str | None) -> str:
    return device or typer.prompt(f"Which device ({_OF_DEVICES.rstrip('.')})", default="local")
