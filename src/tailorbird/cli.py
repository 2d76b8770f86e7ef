"""The command line."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tailorbird import __version__, table_commands
from tailorbird.errors import EvaluationError, MeasurementError, StoreError, TailorbirdError
from tailorbird.job import hold

if TYPE_CHECKING:
    from tailorbird.pipeline import Run

app = typer.Typer(
    help="Hardware-aware architecture search on latency measured, and checked, on the device.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(table_commands.app, name="table")

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
        sys.exit(1 if isinstance(error, EvaluationError | MeasurementError | StoreError) else 2)


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
    with hold(recipe) as job:
        _finish(job, job.run(), as_json)


@app.command()
def profile(recipe: RecipePath, networks: Networks = None, as_json: AsJson = False) -> None:
    """Measures every workload of the space, and whole networks, that are not in the table yet."""
    with hold(recipe) as job:
        try:
            job.profile(networks)
        except MeasurementError:  # what was measured is there, and why the rest is not
            table_commands.print_table(job.measurement.record, job.recipe.latency.rounds, as_json)
            raise
        table_commands.print_table(job.measurement.record, job.recipe.latency.rounds, as_json)


@app.command()
def train(recipe: RecipePath) -> None:
    """Trains the networks of the space."""
    with hold(recipe) as job:
        trained = job.train()
        typer.echo(f"Weights {trained.fingerprint} are in {job.folder / 'weights'}.")


@app.command()
def search(recipe: RecipePath, as_json: AsJson = False) -> None:
    """Searches under predictors; needs a table and weights."""
    with hold(recipe) as job:
        found = job.search()
        frame = found.front.to_pandas(job.space)
        measures = [objective.column for objective in found.front.objectives]
        columns = ["architecture", "kind", *measures, "probability_on_front"]
        for line in (str(found), *job.accuracy.remarks):
            typer.echo(line, err=True)
        typer.echo(
            frame.to_json(orient="records") if as_json else frame[columns].to_string(index=False)
        )


@app.command()
def report(recipe: RecipePath, as_json: AsJson = False) -> None:
    """Searches, checks the front on the device and writes the report."""
    with hold(recipe) as job:
        _finish(job, job.report(), as_json)


@app.command()
def export(
    recipe: RecipePath,
    architecture: Annotated[
        str | None, typer.Option(help="Such as 'w4:0-2 > w8:3-5'; of the front otherwise.")
    ] = None,
    max_latency_ms: Annotated[
        float | None, typer.Option(help="The most that a network of the front may take.")
    ] = None,
    to: Annotated[
        Path | None, typer.Option(metavar="STEM", help="Path of the files, without endings.")
    ] = None,
) -> None:
    """Writes a trained network as safetensors and ONNX: the best one, or that of a text."""
    with hold(recipe) as job:
        stem = to if to is not None else job.folder / "network"
        exported = job.export(architecture, max_latency_ms, stem)
        typer.echo(f"The network is in {exported.weights} and {exported.onnx}.")


@app.command()
def devices(as_json: AsJson = False) -> None:
    """Lists this machine and the devices whose tables come with the package."""
    from tailorbird.latency_tables import device, shipped
    from tailorbird.latency_tables.listing import quality

    local = device.find("local", threads=1)
    facts = {"name": local.name, "cpu": local.cpu, "target": str(local.target)}
    found: list[dict[str, object]] = [{**facts, **device.provenance()}]
    for shipped_table in shipped.shipped_tables():
        record = shipped_table.read()
        held = {
            "name": record.device,
            "cpu": record.configuration.cpu,
            "space": shipped_table.space,
            "runtime": shipped_table.runtime,
            "batch": record.configuration.batch,
            "threads": record.configuration.threads,
        }
        found.append({**held, **quality(record.table(1))})
    if as_json:
        typer.echo(json.dumps(found, indent=1))
        return
    for number, facts_of_one in enumerate(found):
        typer.echo("" if number else "This machine:")
        _show(facts_of_one, as_json=False)


def _show(facts: Mapping[str, object], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(facts, indent=1))
        return
    width = max(map(len, facts))
    for name, value in facts.items():
        typer.echo(f"{name:<{width}}  {value}")


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
