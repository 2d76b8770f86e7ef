"""Commands on latency tables."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tailorbird.cli.recipe_run import held, opened
from tailorbird.cli.terminal import echo, echo_json, tell
from tailorbird.errors import PublishedTableError, RecipeError, naming

if TYPE_CHECKING:
    from tailorbird.latency_tables import Record
    from tailorbird.pipeline.run import Run

NOT_USABLE = 3
"""Exit code of commands whose table must not be used."""

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
    """Shows latencies, also while they are measured, and marks those to distrust.

    Example: `tailorbird table show mine.toml`.
    """
    print_table(*_record(source), as_json)


@app.command("measure-again")
def measure_again(recipe: RecipePath, as_json: AsJson = False) -> None:
    """Measures anew what is distrusted, as `table show` tells: rows of workloads, not networks.

    Example: `tailorbird table measure-again mine.toml`.
    """
    from tailorbird.latency_tables.tables.listing import quality

    with held(recipe, "measure_again") as run:
        n = run.measure_again()
        table = run.latency.needed()
        share = table.share_sound or 0.0
        told = f"{n} rows were measured again; {share:.0%} of all are to be trusted now."
        tell(told, {"n_measured_again": n, **quality(table)}, as_json)
        end_with_verdict(run, as_json)


def end_with_verdict(run: "Run", as_json: bool) -> None:
    """Prints what a table is good for, and ends with code 3 if it must not be used.

    Args:
        run: whose table it is.
        as_json: whether standard output is for scripts.
    """
    table = run.latency.needed()
    if table.verdict:
        echo(naming(table.verdict, run.path), err=as_json)
    if not table.is_usable:
        raise typer.Exit(NOT_USABLE)


@app.command()
def export(
    recipe: RecipePath,
    file: FilePath,
    device: Annotated[
        str | None, typer.Option(help="What the file calls the device; its CPU otherwise.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Writes all that was measured under a recipe to a file, losing nothing.

    Example: `tailorbird table export mine.toml laptop.parquet`.
    """
    from dataclasses import replace

    from tailorbird.latency_tables.formats import files

    with opened(recipe) as run:
        latency = run.latency
        if not latency.has_table() or not (record := latency.record()).rounds:
            raise latency.no_table()
    files.write(replace(record, device=device or record.configuration.cpu), file)
    facts = {"n_rounds": len(record.rounds), "file": str(file)}
    tell(f"{len(record.rounds)} rounds and failures are in {file}.", facts, as_json)


@app.command("import")
def import_(recipe: RecipePath, file: Importable, as_json: AsJson = False) -> None:
    """Adds a file to a recipe's store; what is there is not added again.

    A recipe that asks for the runtime "imported" takes what others measured: a .csv, .csv.gz or
    .parquet with the columns key, ms and perhaps std_ms, or the published table of OFA, which
    `ofa-i7-8700k` names once `tailorbird data get` has fetched it. Others take exports.

    Example: `tailorbird table import mine.toml laptop.parquet`.
    """
    from tailorbird.published import ofa_latency_table

    fetched = _fetched(file)
    file = fetched or file
    try:
        offered = _offered(file)
    except RecipeError as error:
        if fetched is None:
            raise
        raise PublishedTableError.torn(fetched, ofa_latency_table.NAME, str(error)) from None
    with opened(recipe) as run:
        record, remark = offered(run)
        with run.held():
            added = run.latency.add(record)
        present, needed = run.latency.table().entries, run.space.workloads
    n_present = sum(workload.key in present for workload in needed)
    sentences = (
        f"{added} of {len(record.rounds)} rounds and failures were added.",
        f"The table holds {n_present} of {len(needed)} workloads of {run.space.name}.",
        *([] if remark is None else [remark]),
    )
    facts = {
        "n_rounds": len(record.rounds),
        "n_rounds_added": added,
        "n_workloads": len(needed),
        "n_workloads_held": n_present,
        "remark": remark,
    }
    if as_json:
        echo_json(facts)
        return
    for sentence in sentences:
        echo(sentence)


def _offered(file: Path) -> "Callable[[Run], tuple[Record, str | None]]":
    """Reads a file; a run turns it into a record, and a remark on rows that it does not need.

    Raises:
        RecipeError: if the file cannot be read.
    """
    from tailorbird.latency_tables.formats import files, foreign, unneeded_rows

    if not foreign.is_foreign(file):
        record = files.read(file)
        return lambda run: (run.latency.accept(record, file), None)
    table = foreign.read(file)

    def accepted(run: "Run") -> "tuple[Record, str | None]":
        of_others = run.latency.accept_foreign(table, file)
        return of_others, unneeded_rows.remark(table.stated, table.place, run.space)

    return accepted


@app.command()
def keys(recipe: RecipePath) -> None:
    """Lists the keys of all workloads that a recipe's space needs, one a line.

    Example: `tailorbird table keys mine.toml`.
    """
    from tailorbird.latency_tables.program import EMPTY_KEY

    with opened(recipe) as run:
        needed = [workload.key for workload in run.space.workloads]
        held = run.latency.table().entries if _has_begun(run) else ()
    for key in needed:
        echo(key)
    n_held = sum(key in held for key in needed)
    echo(
        f"{len(needed)} workloads of {run.space.name}, of which the table holds {n_held}. A table "
        f"may also hold {EMPTY_KEY}, the empty program.",
        err=True,
    )


@app.command()
def diff(left: EitherPath, right: EitherPath, as_json: AsJson = False) -> None:
    """Compares two tables: ratios, what one of them lacks, and whether they rank alike.

    Example: `tailorbird table diff mine.toml laptop.parquet`.
    """
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
    """Reads the record of a recipe or a file, and how many rounds its rows should have."""
    from tailorbird.latency_tables.formats import files

    if files.is_file(source):
        return files.read(source), 2
    with opened(source) as run:
        if not _has_begun(run):
            raise run.latency.no_table()
        return run.latency.record(), run.recipe.latency.rounds


def _has_begun(run: "Run") -> bool:
    """True if there is a table, or the folder of a run, where one without rows may be made."""
    return run.latency.has_table() or run.folder.exists()


def _fetched(file: Path) -> Path | None:
    """Path of the fetched table that a name stands for; None if it names no published table."""
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
