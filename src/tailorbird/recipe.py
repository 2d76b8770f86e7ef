"""What a user asks for, from a TOML file."""

import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from tailorbird.errors import RecipeError, nearest
from tailorbird.latency_tables.server import Server

Count = Annotated[int, Field(ge=1)]
LEARNING_RATE = 2e-2  # right for networks that are trained from scratch
Limit = Annotated[float, Field(gt=0, allow_inf_nan=False)] | None
Rate = Annotated[float, Field(ge=0)]
ZeroCostScore = Literal["gradsign", "gradient_norm", "synflow", "naswot", "macs", "parameters"]
PythonPath = Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")]
"""`package.module:name`."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class SpaceSection(_Section):
    """Which networks there are: a named space, or what a Python path makes.

    Other keys are settings of that space.
    """

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)
    name: str | None = None
    module: PythonPath | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if (self.name is None) == (self.module is None):
            raise PydanticCustomError("space", "[space] must have either a name or a module")
        return self

    @property
    def settings(self) -> dict[str, Any]:
        """What the space is made with; the space says which settings it has."""
        return dict(self.model_extra or {})


class DeviceSection(_Section):
    """What latency is measured on."""

    name: str = "local"
    threads: Count = 1
    target: Annotated[str, Field(min_length=1)] | None = None
    endpoint: Annotated[str, Field(min_length=1)] | None = None
    tracker: Annotated[str, Field(min_length=1)] | None = None
    key: Annotated[str, Field(pattern=r"^[^\s:]+$")] | None = None
    batch: Annotated[int, Field(ge=1, le=4096)] = 1

    @model_validator(mode="after")
    def _one_address(self) -> Self:
        if self.endpoint is not None and self.tracker is not None:
            raise PydanticCustomError(
                "device", "[device] has an endpoint or a tracker, not both: drop one"
            )
        if (self.tracker is None) != (self.key is None):
            raise PydanticCustomError(
                "device", "[device] tracker and key go together: the tracker is asked for that key"
            )
        return self

    @property
    def server(self) -> Server | None:
        """Where the device is; None for this machine, and for tables of others.

        Raises:
            RecipeError: if it is no address.
        """
        address = self.endpoint or self.tracker
        return None if address is None else Server.parse(address, self.key)


class LatencySection(_Section):
    """How latency is measured."""

    runtime: Literal["tvm", "onnxruntime", "openvino", "torch", "imported"] = "tvm"
    schedule: Annotated[str | None, Field(validate_default=True)] = None  # that of the runtime
    tuning: Annotated[str, Field(min_length=1)] | None = None
    tuning_minutes: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 60.0
    rounds: Annotated[int, Field(ge=2)] = 5
    store: Annotated[str, Field(min_length=1)] | None = None
    estimate_missing: bool = False
    adapt_from: Annotated[tuple[str, ...], Field(strict=False)] = ()
    samples: Annotated[int, Field(ge=3)] = 10

    @field_validator("schedule")
    @classmethod
    def _fits_the_runtime(cls, schedule: str | None, info: ValidationInfo) -> str | None:
        runtime = info.data.get("runtime")
        if runtime is None:  # wrong itself, and said to be
            return schedule
        own = _SCHEDULES[runtime]
        if runtime == "tvm" and schedule is not None and _TUNED.fullmatch(schedule):
            return schedule
        if schedule not in (None, own):
            others = ", and tuned:N for N trials of each kernel" if runtime == "tvm" else " only"
            raise PydanticCustomError("schedule", f"{runtime} has the schedule {own!r}{others}")
        return own

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
        if self.runtime == "imported" and "rounds" in self.model_fields_set:
            raise PydanticCustomError(
                "latency", "with an imported table nothing is measured: drop [latency] rounds"
            )
        return self

    @model_validator(mode="after")
    def _adapts(self) -> Self:
        if not self.adapt_from and "samples" in self.model_fields_set:
            raise PydanticCustomError(
                "latency", "[latency] samples are for tables to adapt from: add adapt_from"
            )
        if len(set(self.adapt_from)) < len(self.adapt_from):
            raise PydanticCustomError("latency", "[latency] adapt_from must name each table once")
        if self.adapt_from and self.runtime == "imported":
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


_TUNED = re.compile(r"tuned:[1-9]\d{0,4}")
_SCHEDULES = {
    "tvm": "static",
    "onnxruntime": "default",
    "openvino": "default",
    "torch": "eager",
    "imported": "imported",
}


class LearningRates(_Section):
    """Peaks, for each kind of part; 0 leaves it as it is."""

    embedding: Rate = LEARNING_RATE
    block: Rate = LEARNING_RATE
    stitch: Rate = LEARNING_RATE
    head: Rate = LEARNING_RATE


class AccuracySection(_Section):
    """How accuracy comes about."""

    data: Literal["digits", "cifar10-jpeg"] | None = None
    module: PythonPath | None = None
    published: Annotated[str, Field(min_length=1)] | None = None
    evaluator: PythonPath | None = None
    anchors: dict[str, str] | Literal["installed"] = {}
    train_epochs: Annotated[int, Field(ge=0)] | None = None
    stitch_epochs: Annotated[int, Field(ge=0)] = 150
    batch: Count = 50
    learning_rates: LearningRates = LearningRates()
    routes: Literal["stitches", "uniform", "resources"] = "stitches"
    distillation: Literal["soft", "hard", "none"] = "soft"
    teacher: PythonPath | None = None
    stitch_images: Annotated[int, Field(ge=0)] = 500
    stitch_rank: Count | None = None
    evaluations: Annotated[int, Field(ge=10)] = 150
    earlier: Annotated[str, Field(min_length=1)] | None = None
    workers: Count = 1
    evaluation_timeout_seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    predictor: Literal[
        "auto",
        "process",
        "process-totals",
        "process-places",
        "ridge",
        "forest",
        "boosting",
        "perceptrons",
        "additive",
    ] = "auto"
    predictor_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    zero_cost: tuple[ZeroCostScore, ...] = Field(default=(), strict=False)

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [key for key in ("data", "module", "published") if getattr(self, key) is not None]
        if len(given) > 1:
            raise PydanticCustomError(
                "accuracy", f"[accuracy] must have one of {' and '.join(given)}, not both"
            )
        if self.teacher is not None and self.distillation == "none":
            raise PydanticCustomError(
                "accuracy", '[accuracy] teacher has nothing to teach with distillation = "none"'
            )
        if self.predictor_seconds and self.predictor != "auto":
            raise PydanticCustomError(
                "accuracy", '[accuracy] predictor_seconds are for predictor = "auto"'
            )
        if self.published is not None:
            idle = sorted(self.model_fields_set - {"published", "predictor", "predictor_seconds"})
            if idle:
                raise PydanticCustomError(
                    "accuracy", f"with published accuracies nothing is trained: drop {idle[0]}"
                )
        return self


Property = Literal["accuracy", "latency_ms", "mega_macs", "mega_params", "weight_mib", "peak_mib"]
"""What networks are compared by, as reports head their columns."""

GUIDE = "process-places"
_PREDICTED = frozenset({"population", "generations"})
_KEYS: dict[str, frozenset[str]] = {
    "nsga2": _PREDICTED,
    "random": _PREDICTED,
    "evolution": _PREDICTED,
    "optuna": _PREDICTED | {"sampler"},
    "guided": frozenset({"batch"}),
    "exact": frozenset(),
    "best": frozenset(),
}
"""Which keys of [search] each algorithm has for itself."""


class SearchSection(_Section):
    """How the front is searched."""

    algorithm: Literal["nsga2", "guided", "exact", "best", "random", "evolution", "optuna"] = (
        "nsga2"
    )
    objectives: Annotated[tuple[Property, ...], Field(min_length=1, strict=False)] = (
        "accuracy",
        "latency_ms",
    )
    devices: Annotated[tuple[str, ...], Field(strict=False)] = ()
    population: Annotated[int, Field(ge=4)] = 100
    generations: Count = 100
    sampler: str = "TPESampler"
    batch: Count = 5
    min_accuracy: Annotated[float, Field(gt=0, lt=1)] | None = None
    max_latency_ms: Limit = None
    max_mega_macs: Limit = None
    max_mega_params: Limit = None
    max_weight_mib: Limit = None
    max_peak_mib: Limit = None

    @model_validator(mode="after")
    def _fits_the_algorithm(self) -> Self:
        idle = self.model_fields_set & (frozenset().union(*_KEYS.values()) - _KEYS[self.algorithm])
        if idle:
            raise PydanticCustomError(
                "search", f'[search] algorithm = "{self.algorithm}" has no {min(idle)}: drop it'
            )
        if len(set(self.objectives)) < len(self.objectives):
            raise PydanticCustomError("search", "[search] objectives must differ")
        if self.devices and "latency_ms" not in self.objectives:
            raise PydanticCustomError(
                "search", '[search] devices are compared by latency: add "latency_ms" to objectives'
            )
        if self.devices and self.algorithm == "best":
            raise PydanticCustomError(
                "search", '[search] algorithm = "best" is for one device: drop devices'
            )
        if self.algorithm == "guided" and "accuracy" not in self.objectives:
            raise PydanticCustomError(
                "search", "a guided search learns accuracy: add it to [search] objectives"
            )
        return self

    @property
    def limits(self) -> dict[Property, float]:
        """The worst that is allowed of each property that has a limit."""
        limits: dict[Property, float | None] = {
            "accuracy": self.min_accuracy,
            "latency_ms": self.max_latency_ms,
            "mega_macs": self.max_mega_macs,
            "mega_params": self.max_mega_params,
            "weight_mib": self.max_weight_mib,
            "peak_mib": self.max_peak_mib,
        }
        return {name: limit for name, limit in limits.items() if limit is not None}


class ReportSection(_Section):
    """What is checked on the device."""

    networks: Count = 16
    random_networks: Annotated[int, Field(ge=2)] = 20


class Recipe(_Section):
    """All of it."""

    name: Annotated[str, Field(max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    space: SpaceSection
    device: DeviceSection = DeviceSection()
    latency: LatencySection = LatencySection()
    accuracy: AccuracySection = AccuracySection()
    search: SearchSection = SearchSection()
    report: ReportSection = ReportSection()

    @property
    def predictor(self) -> str:
        """Of accuracy; a guided search fits it again and again, so its default is a quick one."""
        asked = self.accuracy
        is_asked = "predictor" in asked.model_fields_set or asked.predictor_seconds
        return asked.predictor if is_asked or self.search.algorithm != "guided" else GUIDE

    @model_validator(mode="after")
    def _reaches(self) -> Self:
        asked = self.device
        if (asked.endpoint or asked.tracker) and self.latency.runtime != "tvm":
            raise PydanticCustomError(
                "recipe",
                "devices behind a server are measured by TVM: with [device] endpoint or tracker "
                'write [latency] runtime = "tvm"',
            )
        if asked.target is not None and self.latency.runtime != "tvm":
            raise PydanticCustomError(
                "recipe", '[device] target is for TVM: drop it, or write [latency] runtime = "tvm"'
            )
        return self

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        asked, search = self.accuracy, self.search
        if search.algorithm == "best" and asked.predictor != "additive":
            raise PydanticCustomError(
                "recipe",
                'an integer program needs what adds up: with [search] algorithm = "best" write '
                '[accuracy] predictor = "additive"',
            )
        if asked.predictor == "additive" and asked.zero_cost:
            raise PydanticCustomError(
                "recipe", "an additive predictor has no zero_cost: drop it from [accuracy]"
            )
        return self

    @model_validator(mode="after")
    def _evaluates(self) -> Self:
        if self.search.algorithm == "guided" and self.accuracy.published is not None:
            raise PydanticCustomError(
                "recipe",
                "a guided search chooses what to evaluate, but published accuracies are all there: "
                'use [search] algorithm = "exact" or "nsga2"',
            )
        return self


def load(path: Path) -> tuple[Recipe, str]:
    """A recipe, and its text as the user wrote it.

    Raises:
        RecipeError: naming the first thing that is wrong, and what would be right.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise RecipeError(f"Recipe {str(path)!r} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise RecipeError(f"Recipe {str(path)!r} is not text in UTF-8.") from None
    try:
        recipe = Recipe.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"Recipe {str(path)!r} is not valid TOML: {error}.") from None
    except ValidationError as error:
        raise RecipeError(f"Recipe {str(path)!r}: {_explain(error)}") from None
    if "batch" in recipe.space.settings:
        raise RecipeError(
            f"Recipe {str(path)!r}: there is no key '[space] batch'; it is [device] batch."
        )
    return recipe, text


def _explain(error: ValidationError) -> str:
    first = error.errors()[0]
    if first["type"] in ("space", "device", "latency", "accuracy", "search", "recipe"):
        return f"{first['msg']}."
    *sections, key = [str(part) for part in first["loc"] if isinstance(part, str)]
    where = f"[{'.'.join(sections)}] {key}" if sections else key
    match first["type"]:
        case "missing":
            wanted = "the table [space]" if where == "space" else f"the key {where!r}"
            return f"{wanted} is missing."
        case "extra_forbidden":
            known = _fields(sections)
            return f"there is no key {where!r}; {nearest(key, known)}"
        case "model_type" | "dict_type":
            return f"{where!r} must be a table, but got {first['input']!r}."
        case "literal_error":
            return f"{where!r} must be {first['ctx']['expected']}, but got {first['input']!r}."
    return f"{where!r}: {first['msg']}, but got {first['input']!r}."


def _fields(sections: list[str]) -> list[str]:
    model: type[BaseModel] = Recipe
    for section in sections:
        annotation = model.model_fields[section].annotation
        assert isinstance(annotation, type)
        assert issubclass(annotation, BaseModel)
        model = annotation
    return list(model.model_fields)
