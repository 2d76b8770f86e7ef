"""Commands on tables that others published."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tailorbird.cli.terminal import echo, echo_json
from tailorbird.errors import RecipeError, nearest

if TYPE_CHECKING:
    from tailorbird.published.tables import PublishedTable

app = typer.Typer(help="Tables that others published.", no_args_is_help=True)

Names = Annotated[list[str], typer.Argument(metavar="NAME...", help="As `data list` shows them.")]
Mirror = Annotated[
    str | None,
    typer.Option(
        metavar="URL", envvar="TAILORBIRD_MIRROR", help="Takes the place of GitHub's host."
    ),
]
AccuracyFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.csv", help="Of nasbench201: arch or index, c10_test_12ep and the like."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """Shows what can be fetched, its licence and size, and whether it is here.

    Example: `tailorbird data list`.
    """
    from tailorbird.published.data_folder import data_folder
    from tailorbird.published.tables import TABLES

    folder = data_folder()
    listed: list[dict[str, object]] = [
        {
            "name": table.name,
            "holds": table.holds,
            "licences": list(table.licences),
            "n_bytes": table.n_bytes,
            "file": str(folder / table.file),
            "is_here": table.is_in(folder),
        }
        for table in TABLES.values()
    ]
    if as_json:
        echo_json(listed)
        return
    echo(f"{'name':<16}{'licence':<12}{'size':>9}  {'here':<6}holds")
    for table in TABLES.values():
        licences, here = ", ".join(table.licences), "yes" if table.is_in(folder) else "no"
        size = f"{table.n_bytes / 1e6:.2f} MB"
        echo(f"{table.name:<16}{licences:<12}{size:>9}  {here:<6}{table.holds}")
    echo(f"Tables are looked for in {folder}.")


@app.command()
def get(
    names: Names,
    mirror: Mirror = None,
    accuracies: AccuracyFile = None,
    as_json: AsJson = False,
) -> None:
    """Fetches original files from their repositories, and makes tables of them.

    What is there already is neither fetched nor made again.

    Example: `tailorbird data get ofa-accuracies`.
    """
    from tailorbird.progress import on_stderr
    from tailorbird.published.data_folder import data_folder
    from tailorbird.published.fetching import GITHUB, host_of

    tables = _known(names)
    host = GITHUB if mirror is None else host_of(mirror)
    folder, progress = data_folder(), on_stderr()
    if accuracies is not None:
        tables = [_with_accuracies(tables, accuracies, folder)]
    for table in tables:
        if accuracies is not None or not table.is_in(folder):
            table.require()
    made = list[dict[str, object]]()
    nothing_to_do = accuracies is None and all(table.is_in(folder) for table in tables)
    with nullcontext() if nothing_to_do else _alone_in(folder):
        for table in tables:
            path = folder / table.file
            is_here = accuracies is None and table.is_in(folder)
            n_rows = None if is_here else table.make(folder, host, progress)
            made.append({"name": table.name, "file": str(path), "n_rows_made": n_rows})
            if as_json:
                continue
            if is_here:
                echo(f"{table.name}: {path} is there already; delete it to make it anew.")
                continue
            echo(f"{table.name}: {n_rows} rows are in {path}.")
            if table.remark:
                echo(table.remark, err=True)
    if as_json:
        echo_json(made)


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Holds the lock of a folder: one process at a time makes tables there."""
    from filelock import Timeout

    from tailorbird.latency_tables.devices.locks import file_lock
    from tailorbird.published.whole_file import not_written
    from tailorbird.storage.atomic import make_folder

    path = folder / ".lock"
    try:
        make_folder(folder)
        path.touch()
    except OSError as error:
        raise not_written(path, error) from None
    with ExitStack() as stack:
        try:
            stack.enter_context(file_lock(path, timeout_s=0))
        except Timeout:
            echo(f"Another `tailorbird data get` works in {folder}: waiting.", err=True)
            stack.enter_context(file_lock(path, timeout_s=-1))
        yield


def _known(names: Iterable[str]) -> "list[PublishedTable]":
    """Finds tables by their names, each once."""
    from tailorbird.published.tables import TABLES

    for name in names:
        if name not in TABLES:
            raise RecipeError(f"There is no published table {name!r}; {nearest(name, TABLES)}")
    return [table for table in TABLES.values() if table.name in set(names)]


def _with_accuracies(tables: "list[PublishedTable]", file: Path, folder: Path) -> "PublishedTable":
    """Returns the table of NAS-Bench-201, to be made with a user's accuracies."""
    from tailorbird.published import nasbench201_accuracies

    if [table.name for table in tables] != [nasbench201_accuracies.NAME]:
        raise RecipeError(
            f"Accuracies can be added to {nasbench201_accuracies.NAME!r} alone: name no other "
            "table beside `--accuracies`."
        )
    (table,) = tables
    return nasbench201_accuracies.read(file).added(table, folder)
