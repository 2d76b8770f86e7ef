"""The command line."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tailorbird import __version__
from tailorbird.errors import MeasurementError, MissingStepError, TailorbirdError

if TYPE_CHECKING:
    from tailorbird.pipeline import Run

app = typer.Typer(
    help="Hardware-aware architecture search on latency measured, and checked, on the device.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
table_app = typer.Typer(help="Latency tables.", no_args_is_help=True)
app.add_typer(table_app, name="table")

RecipePath = Annotated[Path, typer.Argument(metavar="RECIPE", help="A TOML file.")]
Networks = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Whole networks to measure as well: Parquet, rows of the space."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]


def main() -> None:
    """Runs a command; exit code 2 is the user's input, 1 anything else."""
    try:
        app()
    except TailorbirdError as error:
        typer.echo(f"tailorbird: {error}", err=True)
        sys.exit(1 if isinstance(error, MeasurementError) else 2)


@app.callback(invoke_without_command=True)
def version(
    show: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Hardware-aware architecture search on latency measured, and checked, on the device."""
    if show:
        typer.echo(__version__)
        raise typer.Exit


@app.command()
def run(recipe: RecipePath, as_json: AsJson = False) -> None:
    """Does all of it in order: profile, train, search, report. Resumes."""
    with _job(recipe) as job:
        _finish(job, job.run(), as_json)


@app.command()
def profile(recipe: RecipePath, networks: Networks = None, as_json: AsJson = False) -> None:
    """Measures every workload of the space, and whole networks, that are not in the table yet."""
    with _job(recipe) as job:
        try:
            job.profile(networks)
        except MeasurementError:
            _show_table(job, as_json)  # what was measured is there, and why the rest is not
            raise
        _show_table(job, as_json)


@app.command()
def train(recipe: RecipePath) -> None:
    """Trains the networks of the space."""
    with _job(recipe) as job:
        trained = job.train()
        typer.echo(f"Weights {trained.fingerprint} are in {job.folder / 'weights'}.")


@app.command()
def search(recipe: RecipePath, as_json: AsJson = False) -> None:
    """Searches under predictors; needs a table and weights."""
    with _job(recipe) as job:
        found = job.search()
        frame = found.front.to_pandas(job.space)
        columns = ["architecture", "kind", "accuracy", "accuracy_std", "latency_ms"]
        typer.echo(
            frame.to_json(orient="records") if as_json else frame[columns].to_string(index=False)
        )


@app.command()
def report(recipe: RecipePath, as_json: AsJson = False) -> None:
    """Searches, checks the front on the device and writes the report."""
    with _job(recipe) as job:
        _finish(job, job.report(), as_json)


@app.command()
def devices(as_json: AsJson = False) -> None:
    """Shows this machine as recipes see it."""
    from tailorbird.latency_tables import device
    from tailorbird.latency_tables.tvm.target import llvm_cpu

    local = device.find("local", threads=1)
    facts = {"name": local.name, "cpu": local.cpu, "target": llvm_cpu(local.flags)}
    _show(facts | device.provenance(), as_json)


@table_app.command("show")
def table_show(recipe: RecipePath, as_json: AsJson = False) -> None:
    """Shows the latencies that a recipe's searches rest on, also while they are measured."""
    job = _open(recipe)
    if not job.folder.exists():
        raise MissingStepError(
            "There is no table for this recipe yet. Make it with `tailorbird profile RECIPE`."
        )
    _show_table(job, as_json)


@contextmanager
def _job(path: Path) -> Iterator["Run"]:
    with _open(path).held() as job:
        try:
            yield job
        except KeyboardInterrupt:
            typer.echo("tailorbird: stopped. What was done is kept; run again to go on.", err=True)
            raise typer.Exit(1) from None


def _open(path: Path) -> "Run":
    from tailorbird import recipe as recipes
    from tailorbird import spaces
    from tailorbird.latency_tables import device as devices
    from tailorbird.progress import TerminalProgress

    recipe, text = recipes.load(path)
    space = spaces.get(recipe.space.name, batch=recipe.device.batch, **recipe.space.settings)
    device = devices.find(recipe.device.name, recipe.device.threads)

    from tailorbird.pipeline import Run  # torch and more: not before the input is known to be right

    folder = Path("runs") / recipe.name
    return Run(recipe, text, space, device, folder, TerminalProgress())


def _show(facts: "dict[str, object] | dict[str, str]", as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(facts, indent=1))
        return
    width = max(map(len, facts))
    for name, value in facts.items():
        typer.echo(f"{name:<{width}}  {value}")


def _show_table(job: "Run", as_json: bool) -> None:
    table = job.table
    rows = [
        {"workload": key, "median_ms": v.median_ms, "iqr_ms": v.iqr_ms, "rounds": len(v.round_ms)}
        for key, v in table.entries.items()
    ]
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    for row in rows:
        typer.echo(
            f"{row['median_ms']:12.6f} ms  ± {row['iqr_ms']:.6f}  "
            f"{row['rounds']} rounds  {row['workload']}"
        )
    for key, reason in table.failures.items():
        typer.echo(f"{'failed':>12}  {key}: {reason}")


def _finish(job: "Run", summary: dict[str, object], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(summary, indent=1))
    else:
        _show(summary, as_json=False)
        typer.echo(f"The report is {job.folder / 'report.html'}.")
    if summary["n_failed"]:
        raise MeasurementError(
            f"{summary['n_failed']} networks could not be measured; the report says why."
        )
