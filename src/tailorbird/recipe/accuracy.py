"""The table [accuracy]."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from tailorbird.recipe.section import Count, PythonPath, Section

LEARNING_RATE = 2e-2  # right for networks that are trained from scratch

Rate = Annotated[float, Field(ge=0)]
ZeroCostScore = Literal["gradsign", "gradient_norm", "synflow", "naswot", "macs", "parameters"]


class LearningRates(Section):
    """Peaks, for each kind of part; 0 leaves it as it is."""

    embedding: Rate = LEARNING_RATE
    block: Rate = LEARNING_RATE
    stitch: Rate = LEARNING_RATE
    head: Rate = LEARNING_RATE


class AccuracySection(Section):
    """How accuracy comes about."""

    data: Literal["digits", "cifar10-jpeg"] | None = None
    module: PythonPath | None = None
    published: Annotated[str, Field(min_length=1)] | None = None
    evaluator: PythonPath | None = None
    anchors: dict[str, str] | Literal["installed"] = Field(default_factory=dict)
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
