"""The table [latency]."""

import re
from typing import Annotated, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from tailorbird.errors import DeviceError
from tailorbird.latency_tables.runtimes.command.command_line import CommandLine
from tailorbird.latency_tables.tables.configuration import IMPORTED
from tailorbird.recipe.section import Section, one_of_or_path
from tailorbird.registry import latency_predictors
from tailorbird.registry.latency_predictors import LATENCY_PREDICTORS, LatencyPredictorEntry
from tailorbird.registry.python_paths import is_path
from tailorbird.registry.runtimes import COMMAND, RUNTIMES

_TUNED = re.compile(r"tuned:[1-9]\d{0,4}")
_SCHEDULES = {name: entry.schedule for name, entry in RUNTIMES.items()} | {IMPORTED: IMPORTED}
_ADAPTED_SAMPLES = 10


class LatencySection(Section):
    """How latency is measured and predicted.

    Attributes:
        runtime: what runs networks: `tvm`, `onnxruntime`, `openvino`, `torch`, a `command` of your
            own, a table that others measured (`imported`), or your own `module:name`.
        command: for `runtime = "command"`: a line with `{onnx}`, `{inputs}` or `{outputs}` for
            paths, which prints milliseconds, one a line.
        command_timeout_seconds: seconds after which a command is ended, and its network has
            failed.
        schedule: TVM's `static`, or `tuned:N` for N trials of each kernel; of other runtimes,
            their own.
        tuning: folder of tuned kernels, which several recipes may share; `runs/NAME/tuning` if left
            out.
        tuning_minutes: minutes after which tuning of a recipe ends, with the best that was found.
        rounds: measurements of each program, which lie apart in time; their spread is the
            uncertainty.
        store: database of all samples: a path of SQLite, or a URL of PostgreSQL;
            `runs/NAME/store.sqlite` if left out.
        estimate_missing: whether workloads that are not in the table are predicted from others of
            their operator.
        adapt_from: tables of known devices, from which and a few timed networks latencies are
            predicted.
        predictor: what predicts the latency of a network from rows of the table.
        samples: networks that are timed whole for `adapt_from`, or for predictors that learn from
            such.
    """

    runtime: Annotated[str, one_of_or_path(_SCHEDULES)] = "tvm"
    command: str | None = None
    command_timeout_seconds: Annotated[float, Field(gt=0, le=1e5, allow_inf_nan=False)] = 60.0
    schedule: Annotated[str | None, Field(validate_default=True)] = None  # that of the runtime
    tuning: Annotated[str, Field(min_length=1)] | None = None
    tuning_minutes: Annotated[float, Field(ge=0, le=1e5, allow_inf_nan=False)] = 60.0
    rounds: Annotated[int, Field(ge=2, le=1_000)] = 5
    store: Annotated[str, Field(min_length=1)] | None = None
    estimate_missing: bool = False
    adapt_from: Annotated[tuple[str, ...], Field(strict=False)] = ()
    predictor: Annotated[str, one_of_or_path(LATENCY_PREDICTORS)] = "table-sum"
    samples: Annotated[int, Field(ge=3, le=1_000)] | None = None

    @field_validator("schedule")
    @classmethod
    def _fits_the_runtime(cls, schedule: str | None, info: ValidationInfo) -> str | None:
        runtime = info.data.get("runtime")
        if runtime is None:  # wrong itself, and said to be
            return schedule
        if is_path(runtime):
            if schedule is not None:
                raise PydanticCustomError(
                    "latency", "[latency] schedule is for our runtimes: drop it, yours has its own"
                )
            return None
        own = _SCHEDULES[runtime]
        if runtime == "tvm" and schedule is not None and _TUNED.fullmatch(schedule):
            return schedule
        if schedule not in (None, own):
            others = ", and tuned:N for N trials of each kernel" if runtime == "tvm" else " only"
            raise PydanticCustomError("schedule", f"{runtime} has the schedule {own!r}{others}")
        return own

    @field_validator("command")
    @classmethod
    def _is_a_command(cls, command: str | None) -> str | None:
        try:
            if command is not None:
                CommandLine.parse(command)
        except DeviceError as error:
            raise PydanticCustomError(
                "latency", "[latency] command: {law}", {"law": str(error).rstrip(".")}
            ) from None
        return command

    @model_validator(mode="after")
    def _commands(self) -> Self:
        if self.runtime == COMMAND and self.command is None:
            raise PydanticCustomError(
                "latency",
                "[latency] runtime = 'command' needs the key command, such as command = "
                '"./bench.sh {onnx}", which prints milliseconds, one a line',
            )
        idle = sorted({"command", "command_timeout_seconds"} & self.model_fields_set)
        if idle and self.runtime != COMMAND:
            raise PydanticCustomError(
                "latency", f"[latency] {idle[0]} is for runtime = 'command': drop it, or write that"
            )
        return self

    @model_validator(mode="after")
    def _tunes(self) -> Self:
        idle = sorted({"tuning", "tuning_minutes"} & self.model_fields_set)
        if idle and self.n_trials is None:
            raise PydanticCustomError(
                "latency", f"[latency] {idle[0]} is for schedule = 'tuned:N': drop it"
            )
        return self

    @property
    def n_trials(self) -> int | None:
        """Schedules that tuning tries of each kernel; None without tuning."""
        kind, _, number = (self.schedule or "").partition(":")
        return int(number) if kind == "tuned" else None

    @model_validator(mode="after")
    def _nothing_idle(self) -> Self:
        if self.runtime == IMPORTED and "rounds" in self.model_fields_set:
            raise PydanticCustomError(
                "latency", "with an imported table nothing is measured: drop [latency] rounds"
            )
        return self

    @model_validator(mode="after")
    def _adapts(self) -> Self:
        if len(set(self.adapt_from)) < len(self.adapt_from):
            raise PydanticCustomError("latency", "[latency] adapt_from must name each table once")
        if self.adapt_from and self.runtime == IMPORTED:
            raise PydanticCustomError(
                "latency",
                "[latency] adapt_from is for a device that is measured, not an imported table: "
                "drop it",
            )
        if self.adapt_from and self.estimate_missing:
            raise PydanticCustomError(
                "latency",
                "with [latency] adapt_from no workload of this device is needed: drop "
                "estimate_missing",
            )
        return self

    @model_validator(mode="after")
    def _learns(self) -> Self:
        if self.predictor == "table-sum":
            if not self.adapt_from and self.samples is not None:
                raise PydanticCustomError(
                    "latency",
                    "[latency] samples are for predictors that learn from whole networks: add "
                    "adapt_from, or another predictor",
                )
            return self
        named = f"[latency] predictor = {self.predictor!r}"
        if self.adapt_from:
            raise PydanticCustomError(
                "latency", f"{named} is not for adapt_from, which predicts in its own way: drop one"
            )
        if self.runtime == IMPORTED and (self.n_samples or not self.entry.needs_workloads):
            raise PydanticCustomError(
                "latency",
                f"{named} learns from networks that are timed, but of an imported table none is: "
                "drop it",
            )
        if self.estimate_missing and not self.entry.needs_workloads:
            raise PydanticCustomError(
                "latency", f"with {named} no workload is needed: drop estimate_missing"
            )
        if self.samples is not None and self.samples < self.entry.least_samples:
            raise PydanticCustomError(
                "latency",
                f"{named} needs [latency] samples of at least {self.entry.least_samples}, but got "
                f"{self.samples}",
            )
        return self

    @property
    def entry(self) -> LatencyPredictorEntry:
        """Line of the predictor in its table: what has to be measured for it."""
        return latency_predictors.entry_of(self.predictor)

    @property
    def n_samples(self) -> int:
        """Networks that are timed whole, for the predictor to learn from."""
        if self.samples is not None:
            return self.samples
        return _ADAPTED_SAMPLES if self.adapt_from else self.entry.n_samples
