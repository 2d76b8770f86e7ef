"""The commands on latency tables."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tailorbird.errors import MissingStepError, RecipeError
from tailorbird.job import open_run

if TYPE_CHECKING:
    from tailorbird.latency_tables import Record

app = typer.Typer(help="Latency tables.", no_args_is_help=True)

RecipePath = Annotated[Path, typer.Argument(metavar="RECIPE", help="A TOML file.")]
FilePath = Annotated[Path, typer.Argument(metavar="FILE", help=".parquet, .csv or .json.")]
EitherPath = Annotated[Path, typer.Argument(metavar="RECIPE_OR_FILE")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]


@app.command()
def show(source: EitherPath, as_json: AsJson = False) -> None:
    """Shows latencies, also while they are measured, and marks those to distrust."""
    print_table(*_record(source), as_json)


@app.command()
def export(
    recipe: RecipePath,
    file: FilePath,
    device: Annotated[
        str | None, typer.Option(help="What the file calls the device; its CPU otherwise.")
    ] = None,
) -> None:
    """Writes all that was measured under a recipe to a file, losing nothing."""
    from dataclasses import replace

    from tailorbird.latency_tables import files

    record, _ = _record(recipe)
    if not record.rounds:
        raise _no_table()
    files.write(replace(record, device=device or record.configuration.cpu), file)
    typer.echo(f"{len(record.rounds)} rounds and failures are in {file}.")


@app.command("import")
def import_(recipe: RecipePath, file: FilePath) -> None:
    """Adds a file's rounds to a recipe's store; those that are there are not added again."""
    from tailorbird import elsewhere
    from tailorbird.latency_tables import files
    from tailorbird.latency_tables.device import tell

    record = files.read(file)
    job = open_run(recipe)
    if job.measurement.elsewhere is not None:
        raise elsewhere.refusal(job.measurement.elsewhere)
    differences = record.configuration.differences(job.measurement.configuration)
    if differences:
        raise RecipeError(
            f"The table in {str(file)!r} was not measured as this recipe measures (theirs / ours: "
            f"{tell(differences)}), so it is not added. To search with it, name the file in "
            "[device] name."
        )
    with job.held():
        added = job.measurement.store.take_in(record)
    typer.echo(f"{added} of {len(record.rounds)} rounds and failures were added.")


@app.command()
def diff(left: EitherPath, right: EitherPath, as_json: AsJson = False) -> None:
    """Compares two tables: ratios, what one of them lacks, and whether they rank alike."""
    from tailorbird.reports.comparison import Comparison

    (left_record, _), (right_record, _) = _record(left), _record(right)
    compared = Comparison(left_record.table(1), right_record.table(1))
    typer.echo(json.dumps(compared.summary, indent=1) if as_json else str(compared))


def print_table(record: "Record", rounds: int, as_json: bool) -> None:
    """Prints a table whose rows should have so many rounds."""
    from tailorbird.latency_tables.listing import listing, text

    typer.echo(json.dumps(listing(record, rounds), indent=1) if as_json else text(record, rounds))


def _record(source: Path) -> "tuple[Record, int]":
    """All that a recipe or a file holds, and the rounds that its rows should have."""
    from tailorbird.latency_tables import files

    if files.is_file(source):
        return files.read(source), 2
    job = open_run(source)
    own_store = job.measurement.elsewhere is None and job.recipe.latency.store is None
    if own_store and not job.folder.exists():
        raise _no_table()
    return job.measurement.record, job.recipe.latency.rounds


def _no_table() -> MissingStepError:
    return MissingStepError(
        "There is no table for this recipe yet. Make it with `tailorbird profile RECIPE`."
    )
