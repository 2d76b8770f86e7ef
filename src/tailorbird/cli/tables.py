"""The commands on latency tables."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tailorbird.cli.recipe_run import opened
from tailorbird.cli.terminal import echo, echo_json
from tailorbird.errors import MissingStepError, PublishedTableError, RecipeError

if TYPE_CHECKING:
    from tailorbird.latency_tables import Record
    from tailorbird.latency_tables.formats.foreign import ForeignTable
    from tailorbird.pipeline.run import Run

app = typer.Typer(help="Latency tables.", no_args_is_help=True)

RecipePath = Annotated[Path, typer.Argument(metavar="RECIPE", help="A TOML file.")]
FilePath = Annotated[Path, typer.Argument(metavar="FILE", help=".parquet, .csv or .json.")]
Importable = Annotated[
    Path, typer.Argument(metavar="FILE", help=".parquet, .csv or .json, or ofa-i7-8700k.")
]
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

    from tailorbird.latency_tables.formats import files

    record, _ = _record(recipe)
    if not record.rounds:
        raise _no_table()
    files.write(replace(record, device=device or record.configuration.cpu), file)
    echo(f"{len(record.rounds)} rounds and failures are in {file}.")


@app.command("import")
def import_(recipe: RecipePath, file: Importable) -> None:
    """Adds a file to a recipe's store; what is there is not added again.

    A recipe that asks for the runtime "imported" takes what others measured: a .csv, .csv.gz or
    .parquet with the columns key, ms and perhaps std_ms, or the published table of OFA, which
    `ofa-i7-8700k` names once `tailorbird data get` has fetched it. Others take exports.
    """
    from tailorbird.latency_tables.formats import files, foreign, unneeded_rows
    from tailorbird.latency_tables.tables.configuration import tell
    from tailorbird.pipeline.latency_sources import tabulated
    from tailorbird.published import ofa_latency_table

    fetched = _fetched(file)
    file = fetched or file
    try:
        read = foreign.read(file) if foreign.is_foreign(file) else files.read(file)
    except RecipeError as error:
        if fetched is None:
            raise
        raise PublishedTableError.torn(fetched, ofa_latency_table.NAME, str(error)) from None
    job = opened(recipe)
    if job.measurement.elsewhere is not None:
        raise tabulated.refusal(job.measurement.elsewhere.device)
    remark = None
    if isinstance(read, foreign.ForeignTable):
        record = _of_others(read, job, file)
        remark = unneeded_rows.remark(read.stated, read.place, job.space)
    else:
        record = read
    differences = record.configuration.differences(job.measurement.configuration)
    if differences:
        raise RecipeError(
            f"The table in {str(file)!r} was not measured as this recipe measures (theirs / ours: "
            f"{tell(differences)}), so it is not added. To search with it, name the file in "
            "[device] name."
        )
    with job.held():
        added = job.measurement.store.take_in(record)
    echo(f"{added} of {len(record.rounds)} rounds and failures were added.")
    if job.measurement.is_imported:
        held, needed = job.measurement.table.entries, job.space.workloads
        n_held = sum(workload.key in held for workload in needed)
        echo(f"The table holds {n_held} of {len(needed)} workloads of {job.space.name}.")
    if remark is not None:
        echo(remark)


@app.command()
def keys(recipe: RecipePath) -> None:
    """Lists the keys of all workloads that a recipe's space needs, one a line."""
    from tailorbird.spaces import CALL

    job = opened(recipe)
    needed = [workload.key for workload in job.space.workloads]
    held = job.measurement.table.entries if _has_table(job) else ()
    for key in needed:
        echo(key)
    n_held = sum(key in held for key in needed)
    echo(
        f"{len(needed)} workloads of {job.space.name}, of which the table holds {n_held}. A table "
        f"may also hold {CALL.key}, the empty program.",
        err=True,
    )


@app.command()
def diff(left: EitherPath, right: EitherPath, as_json: AsJson = False) -> None:
    """Compares two tables: ratios, what one of them lacks, and whether they rank alike."""
    from tailorbird.reports.comparison import Comparison

    (left_record, _), (right_record, _) = _record(left), _record(right)
    compared = Comparison(left_record.table(1), right_record.table(1))
    if as_json:
        echo_json(compared.summary)
    else:
        echo(str(compared))


def print_table(record: "Record", rounds: int, as_json: bool) -> None:
    """Prints a table whose rows should have so many rounds."""
    from tailorbird.latency_tables.tables.listing import listing, text

    if as_json:
        echo_json(listing(record, rounds))
    else:
        echo(text(record, rounds))


def _record(source: Path) -> "tuple[Record, int]":
    """All that a recipe or a file holds, and the rounds that its rows should have."""
    from tailorbird.latency_tables.formats import files
    from tailorbird.pipeline.latency_sources import tabulated

    if files.is_file(source):
        return files.read(source), 2
    job = opened(source)
    if not _has_table(job):
        if job.measurement.is_imported:
            raise tabulated.nothing_imported(job.measurement.device.name)
        raise _no_table()
    return job.measurement.record, job.recipe.latency.rounds


def _has_table(job: "Run") -> bool:
    """Whether there may be a table; a store is not made for the question."""
    own_store = job.measurement.elsewhere is None and job.recipe.latency.store is None
    return not own_store or job.folder.exists()


def _fetched(file: Path) -> Path | None:
    """The file that the name of a published table stands for, if it is such a name."""
    from tailorbird.published import ofa_latency_table, sources
    from tailorbird.published.data_folder import data_folder

    name = str(file)
    if name not in sources.names() or file.exists():
        return None
    if name != ofa_latency_table.NAME:
        raise RecipeError(
            f"Of published tables only {ofa_latency_table.NAME!r} can be imported, but not "
            f"{name!r}: its rows are not latencies of blocks."
        )
    fetched = data_folder() / ofa_latency_table.FILE
    try:
        if not fetched.is_fifo():  # which would wait for a writer, and is refused when it is read
            fetched.open("rb").close()
    except OSError as error:
        raise PublishedTableError.of(fetched, name, error) from None
    return fetched


def _of_others(table: "ForeignTable", job: "Run", file: Path) -> "Record":
    """What others measured, as a recipe's store holds it."""
    from tailorbird.latency_tables.formats.imported import record_of

    if not job.measurement.is_imported:
        raise RecipeError(
            f"What {str(file)!r} holds was not measured by this recipe, so it is not added to what "
            'was. To search with it, write [latency] runtime = "imported", and in [device] name of '
            "which device it is."
        )
    batch = job.recipe.device.batch
    if table.batch is not None and table.batch != batch:
        raise RecipeError(
            f"The latencies in {str(file)!r} are of batches of {table.batch}, but this recipe asks "
            f"for [device] batch = {batch}. Change that to search with them."
        )
    configuration = job.measurement.configuration
    return record_of(table.stated, table.provenance, configuration, job.space.name)


def _no_table() -> MissingStepError:
    return MissingStepError(
        "There is no table for this recipe yet. Make it with `tailorbird profile RECIPE`."
    )
