"""Commands on recipes, and the end of every command: one sentence and an exit code."""

import errno
import sys
import tempfile
import traceback
from pathlib import Path
from traceback import FrameSummary
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from tailorbird import __version__
from tailorbird.cli import data, devices, ranks, tables
from tailorbird.cli.check import check
from tailorbird.cli.doctor import doctor
from tailorbird.cli.init import init
from tailorbird.cli.interruption import CODE, Signals, interruptible
from tailorbird.cli.recipe_run import beside, held, opened
from tailorbird.cli.terminal import echo, echo_json, tell
from tailorbird.cli.unforeseen import EndedError, guarded, keep
from tailorbird.errors import (
    DamagedStoreError,
    EvaluationError,
    ExportError,
    FetchError,
    FullDiskError,
    MeasurementError,
    RanksError,
    ReadOnlyStoreError,
    StoreError,
    TailorbirdError,
    UnfitStoreError,
    in_a_line,
    naming,
    shortened,
    with_extra,
)
from tailorbird.pipeline.python_path import users_frame
from tailorbird.storage.atomic import FULL, refusal

if TYPE_CHECKING:
    from tailorbird.pipeline.run import Run

_OF_THE_DISK = (*FULL, errno.EROFS)
_DEBUG = "--debug"  # wherever it stands
_INTERRUPTED = 130  # is typer's exit code where no command has begun

app = typer.Typer(
    help="Hardware-aware architecture search on latency measured, and checked, on the device.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(tables.app, name="table")
app.add_typer(data.app, name="data")
app.command()(init)
app.command()(check)
app.command()(doctor)
app.command()(devices.devices)
app.command("compile")(devices.compile_)

RecipePath = Annotated[Path, typer.Argument(metavar="RECIPE", help="A TOML file.")]
Networks = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Whole networks to measure as well: Parquet, rows of the space."
    ),
]
Architecture = Annotated[
    str | None,
    typer.Option(
        help="As reports name it, such as 'to=8 inner=0.5 inner=1.0' or 'w4:0-2 > w8:3-5'; "
        "the best of the front if left out."
    ),
]
MaxLatency = Annotated[
    float | None, typer.Option(help="The most that a network of the front may take.")
]
_NOT_THE_INPUT = (
    EvaluationError,
    ExportError,
    FetchError,
    FullDiskError,
    MeasurementError,
    RanksError,
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]


def main() -> None:
    """Runs a command inside a process that goes on afterwards."""
    with interruptible() as signals:
        command_line(signals)


def command_line(signals: Signals) -> None:
    """Runs a command; exit code 2 is the user's input, their own code included, 1 anything else.

    Args:
        signals: those that may end the command.
    """
    arguments = sys.argv[1:]
    command = typer.main.get_command(app)
    _guard(command)
    error: BaseException = KeyboardInterrupt()
    try:
        command(args=[argument for argument in arguments if argument != _DEBUG])
    except EndedError as ended:
        if not signals.came:  # of which some libraries make another error
            error = ended.error
    except SystemExit as ended:
        if not signals.came or ended.code != _INTERRUPTED:
            raise
    signals.is_ending = True
    error = with_extra(error)
    frame = users_frame(error)
    if isinstance(error, BrokenPipeError) and frame is None:  # as of `| head`
        sys.stdout = None
        sys.exit(1)
    if _DEBUG in arguments:
        traceback.print_exception(error)
    if isinstance(error, KeyboardInterrupt):
        code, sentence = CODE, signals.sentence
    else:
        code, sentence = _told(error, frame)
    if ranks.has_the_word(error):
        echo(f"tailorbird: {ranks.speaker()}{shortened(sentence)}", err=True)
    sys.exit(code)


def _guard(command: Any) -> None:
    """Wraps the body of a command and of those below it."""
    for below in getattr(command, "commands", {}).values():
        _guard(below)
    if command.callback is not None:
        command.callback = guarded(command.callback)


def _told(error: BaseException, frame: FrameSummary | None) -> tuple[int, str]:
    """Exit code and sentence of an error that ended a command.

    Args:
        error: as it was raised.
        frame: innermost frame of the user's own code on its way, if there is any.
    """
    if isinstance(error, DamagedStoreError):
        return 2, str(error)
    if isinstance(error, StoreError):
        is_input = isinstance(error, (ReadOnlyStoreError, UnfitStoreError))
        return (2 if is_input else 1), f"{error} Another can be named in [latency] store."
    if isinstance(error, TailorbirdError):
        return (1 if isinstance(error, _NOT_THE_INPUT) else 2), str(error)
    if isinstance(error, OSError) and error.errno in _OF_THE_DISK and frame is None:
        disk = Path(error.filename or tempfile.gettempdir())
        return 1, str(refusal(disk, error))
    if frame is not None:
        where = f"{frame.filename}, line {frame.lineno}, in {frame.name}"
        return 2, f"Your own code failed ({where}: {in_a_line(error)}). {_DEBUG} shows more."
    return 1, (
        f"Nobody foresaw this error ({in_a_line(error)}). Its traceback is in {keep(error)}, and "
        f"{_DEBUG} shows it here: please report it."
    )


@app.callback(invoke_without_command=True)
def version(
    context: typer.Context,
    show: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    debug: Annotated[bool, typer.Option(_DEBUG, help="Show tracebacks of errors.")] = False,
) -> None:
    """Hardware-aware architecture search on latency measured, and checked, on the device."""
    if context.invoked_subcommand != "train":
        ranks.refuse_others()
    if show:
        echo(__version__)
        raise typer.Exit


@app.command("run")
def run_(recipe: RecipePath, as_json: AsJson = False) -> None:
    """Does all of it in order: profile or adapt, train, search, report. Resumes.

    Example: `tailorbird run mine.toml`.
    """
    with held(recipe, "run") as run:
        _finish(run, run.run(), as_json)


@app.command()
def profile(recipe: RecipePath, networks: Networks = None, as_json: AsJson = False) -> None:
    """Measures every workload of the space, and whole networks, that are not in the table yet.

    Example: `tailorbird profile mine.toml --networks some.parquet`.
    """
    with held(recipe, "profile") as run:
        try:
            run.profile(networks)
        except MeasurementError:  # what was measured is there, and why the rest is not
            tables.print_table(run.latency.record(), run.recipe.latency.rounds, as_json)
            raise
        tables.print_table(run.latency.record(), run.recipe.latency.rounds, as_json)
        tables.end_with_verdict(run, as_json)


@app.command()
def adapt(
    recipe: RecipePath,
    samples: Annotated[
        int | None, typer.Option(min=3, help="Networks to measure; as the recipe says otherwise.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measures a few networks, by which latencies are adapted from tables of known devices.

    Example: `tailorbird adapt mine.toml --samples 20`.
    """
    with held(recipe, "adapt") as run:
        adapted = run.adapt(samples)
        if as_json:
            networks = adapted.networks.to_dict(orient="records")
            echo_json({**adapted.summary, "networks": networks})
            return
        echo(adapted.networks.to_string(index=False))
        echo(str(adapted), err=True)


@app.command()
def train(recipe: RecipePath, as_json: AsJson = False) -> None:
    """Trains the networks of the space, by all processes of `torchrun ... -m tailorbird train`.

    Example: `tailorbird train mine.toml`.
    """
    with (
        ranks.joined() as is_first,
        held(recipe, "train") if is_first else beside(recipe, "train") as run,
    ):
        trained = run.train()
        if not is_first:
            return
        given = run.recipe.accuracy.trained
        place = run.folder / "weights" if given is None else given.file
        facts = {"weights": trained.fingerprint, "place": str(place)}
        tell(f"Weights {trained.fingerprint} are in {place}.", facts, as_json)


@app.command()
def search(recipe: RecipePath, as_json: AsJson = False) -> None:
    """Searches under predictors; needs a table and weights.

    Example: `tailorbird search mine.toml`.
    """
    with held(recipe, "search") as run:
        result = run.search()
        frame = result.front.to_pandas()
        measures = [objective.column for objective in result.front.objectives]
        marks = [column for column in frame if str(column).endswith("_extrapolated")]
        columns = ["architecture", "kind", *measures, *marks, "probability_on_front"]
        for line in (str(result), *run.remarks()):
            echo(line, err=True)
        echo(frame.to_json(orient="records") if as_json else frame[columns].to_string(index=False))


@app.command()
def evaluate(
    recipe: RecipePath,
    idle: Annotated[
        float, typer.Option(min=0, help="Seconds in which nothing came, after which it ends.")
    ] = 300.0,
    as_json: AsJson = False,
) -> None:
    """Evaluates networks that `search`, `report` or `run` waits for, here or on another machine.

    Example: `tailorbird evaluate mine.toml --idle 600`.
    """
    from dataclasses import asdict  # loads much

    with opened(recipe) as run:
        part = run.evaluate(idle)
        if as_json:
            echo_json(asdict(part))
        else:
            echo(str(part))


@app.command()
def report(recipe: RecipePath, as_json: AsJson = False) -> None:
    """Searches, checks the front on the device and writes the report.

    Example: `tailorbird report mine.toml`.
    """
    with held(recipe, "report") as run:
        _finish(run, run.report(), as_json)


@app.command()
def finetune(
    recipe: RecipePath,
    architecture: Architecture = None,
    max_latency_ms: MaxLatency = None,
    against_scratch: Annotated[
        bool,
        typer.Option(
            "--against-scratch",
            help="Also train it from scratch, for as many passes as all training had: about as "
            "long as `train` took.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Trains a network on from its shared weights, and checks it again: the best, or of a text.

    Example: `tailorbird finetune mine.toml --max-latency-ms 8`.
    """
    from tailorbird.reports.finetuned import sentences

    with held(recipe, "finetune") as run:
        network = run.finetune(architecture, max_latency_ms, against_scratch=against_scratch)
        if as_json:
            echo_json(network)
        else:
            for line in sentences(network):
                echo(line)
        if failure := network["latency_failure"]:
            raise MeasurementError(f"The network could not be measured: {failure}")


@app.command()
def export(
    recipe: RecipePath,
    architecture: Architecture = None,
    max_latency_ms: MaxLatency = None,
    to: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Path of the files without endings, or of one file, such as 'best.onnx'; a folder "
            "of the run otherwise.",
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(help="Whose latency is limited: one of [search] devices, or the run's own."),
    ] = None,
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            help="safetensors, python, onnx or tvm; all that there are for the device otherwise.",
        ),
    ] = None,
    with_preprocessing: Annotated[
        bool,
        typer.Option(
            "--with-preprocessing",
            help="The ONNX file takes bytes of pictures, and prepares them itself.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Writes a network as safetensors, plain Python and ONNX: the best one, or that of a text.

    Example: `tailorbird export mine.toml --max-latency-ms 8 --to best.onnx`.
    """
    with held(recipe, "export") as run:
        exported = run.export(
            architecture,
            max_latency_ms,
            to,
            formats or (),
            device=device,
            with_preprocessing=with_preprocessing,
        )
        about, files = exported.about, exported.files
        if as_json:
            facts = {"architecture": about.architecture, "space": about.space.name}
            paths = {name: str(path) for name, path in files.items()}
            echo_json({**facts, "figures": dict(about.figures), "files": paths})
            return
        echo(f"{about.architecture} of {about.space.name}")
        for title, value in about.figures.items():
            echo(f"  {title}: {value}")
        echo("Files, whose outputs agree with torch's:")
        for path in files.values():
            echo(f"  {path}")


@app.command()
def compare(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN RUN...", help="Folders of runs, such as runs/NAME.")
    ],
    to: Annotated[Path, typer.Option(metavar="FILE.html", help="Path of the page.")] = Path(
        "compared.html"
    ),
    as_json: AsJson = False,
) -> None:
    """Compares the fronts of several runs: what one dominates of another, and hypervolumes.

    Example: `tailorbird compare runs/one runs/other --to both.html`.
    """
    from tailorbird.reports.compared_runs import ComparedRuns
    from tailorbird.reports.page import compared_runs

    compared = ComparedRuns.read(runs)
    compared_runs.write(compared, to)
    if as_json:
        echo_json({**compared.summary, "page": str(to)})
        return
    for line in compared_runs.lines(compared):
        echo(line)
    echo(f"The page is {to}.")


def _show_front(run: "Run", summary: dict[str, object]) -> None:
    """Prints a front as a table, with what to know of it."""
    import pandas as pd

    from tailorbird.reports.front_table import front_table, regret_table
    from tailorbird.reports.page.trust import distrusted

    objectives = cast(list[str], summary["objectives"])
    for line in front_table(pd.read_parquet(run.folder / "front.parquet"), objectives):
        echo(line)
    for line in regret_table(summary):
        echo(line)
    echo(str(summary["answer"]))
    if lost := summary["anchors_lost"]:
        echo(str(lost), err=True)
    if doubt := distrusted(summary):
        echo(naming(doubt, run.path), err=True)
    for remark in run.remarks():
        echo(remark, err=True)


def _finish(run: "Run", summary: dict[str, object], as_json: bool) -> None:
    if as_json:
        echo_json(summary)
    else:
        _show_front(run, summary)
        echo(f"The report is {run.folder / 'report.html'}.")
    if summary["n_failed"]:
        raise MeasurementError(
            f"{summary['n_failed']} networks could not be measured; the report says why."
        )
