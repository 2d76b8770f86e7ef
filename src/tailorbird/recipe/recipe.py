"""The whole recipe, and what must hold between its tables."""

from typing import Annotated, Self

from pydantic import Field, PlainValidator, model_validator
from pydantic_core import PydanticCustomError

from tailorbird.recipe.accuracy import AccuracySection
from tailorbird.recipe.device import DeviceSection
from tailorbird.recipe.latency import LatencySection
from tailorbird.recipe.report import ReportSection
from tailorbird.recipe.search import SearchSection
from tailorbird.recipe.section import Section
from tailorbird.recipe.space import SpaceSection, UnionSection, read_space
from tailorbird.registry.accuracy_predictors import entry_of

_GUIDE = "process-places"


class Recipe(Section):
    """Everything that a user asks for in one file.

    Attributes:
        name: name of the run; what it makes goes to `runs/NAME` below the current folder.
        seed: seed of all that is drawn: weights, orders of images, samples, searches.
        space: the networks that there are; `[[space]]` several times for a union.
        device: what latency is measured on.
        latency: how latency is measured and predicted.
        accuracy: how networks are trained, evaluated, and their accuracy predicted.
        search: how the front is searched.
        report: how many networks are checked on the device.
    """

    name: Annotated[str, Field(max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    space: Annotated[SpaceSection | UnionSection, PlainValidator(read_space)]
    device: DeviceSection = DeviceSection()
    latency: LatencySection = LatencySection()
    accuracy: AccuracySection = AccuracySection()
    search: SearchSection = SearchSection()
    report: ReportSection = ReportSection()

    @property
    def predictor(self) -> str:
        """Accuracy predictor; quick by default where a search fits it again and again."""
        asked = self.accuracy
        is_asked = "predictor" in asked.model_fields_set or asked.predictor_seconds
        return asked.predictor if is_asked or not self.search.entry.spends_evaluations else _GUIDE

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
    def _times_programs(self) -> Self:
        if self.space.programs is not None and self.latency.n_samples:
            raise PydanticCustomError(
                "recipe",
                "[space] programs are timed each for itself, and no networks beside them: drop "
                "samples, predictor and adapt_from from [latency]",
            )
        return self

    @model_validator(mode="after")
    def _is_published(self) -> Self:
        if len(self.space.tables) > 1 and self.accuracy.published is not None:
            raise PydanticCustomError(
                "recipe",
                "[accuracy] published figures are of one space, and [[space]] names several: run "
                "each alone, or give all of them in [accuracy] table",
            )
        return self

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        asked, search = self.accuracy, self.search
        entry = entry_of(asked.predictor)
        if search.entry.is_single and not entry.adds_up:
            raise PydanticCustomError(
                "recipe",
                "an integer program needs what adds up: with [search] algorithm = "
                f'"{search.algorithm}" write [accuracy] predictor = "additive"',
            )
        if asked.zero_cost and not entry.takes_features:
            raise PydanticCustomError(
                "recipe",
                f"an {asked.predictor} predictor has no zero_cost: drop it from [accuracy]",
            )
        return self

    @model_validator(mode="after")
    def _evaluates(self) -> Self:
        if self.search.entry.spends_evaluations and self.accuracy.is_tabulated:
            kind = "published accuracies" if self.accuracy.published else "accuracies of a table"
            raise PydanticCustomError(
                "recipe",
                f"a {self.search.algorithm} search chooses what to evaluate, but {kind} are all "
                'there: use [search] algorithm = "exact" or "nsga2"',
            )
        return self
