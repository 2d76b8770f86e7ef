"""The table [search]."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from tailorbird.recipe.section import Count, Limit, Section, one_of_or_path
from tailorbird.registry import algorithms
from tailorbird.registry.algorithms import ALGORITHMS, AlgorithmEntry

Property = Literal["accuracy", "latency_ms", "mega_macs", "mega_params", "weight_mib", "peak_mib"]
"""What networks are compared by, as reports head their columns."""


class SearchSection(Section):
    """How the front is searched.

    Attributes:
        algorithm: what searches, or your own `module:name`.
        objectives: what networks are compared by: any of `accuracy`, `latency_ms`, `mega_macs`,
            `mega_params`, `weight_mib` and `peak_mib`.
        devices: further devices, by their tables, whose latencies are objectives as well.
        population: networks of a generation.
        generations: generations after which the search ends.
        sampler: sampler of Optuna, for `algorithm = "optuna"`.
        batch: networks that a guided search evaluates before it learns from them.
        min_accuracy: the least accuracy, as a fraction.
        max_latency_ms: the most milliseconds of a batch.
        max_mega_macs: the most million multiply-adds of a batch.
        max_mega_params: the most million parameters.
        max_weight_mib: the most MiB of parameters and buffers.
        max_peak_mib: the most MiB of activations that are alive at a time.
    """

    algorithm: Annotated[str, one_of_or_path(ALGORITHMS)] = "nsga2"
    objectives: Annotated[tuple[Property, ...], Field(min_length=1, strict=False)] = (
        "accuracy",
        "latency_ms",
    )
    devices: Annotated[tuple[str, ...], Field(strict=False)] = ()
    population: Annotated[int, Field(ge=4, le=100_000)] = 100
    generations: Count = 100
    sampler: str = "TPESampler"
    batch: Annotated[int, Field(ge=1, le=1_000)] = 5
    min_accuracy: Annotated[float, Field(ge=1e-9, lt=1)] | None = None
    max_latency_ms: Limit = None
    max_mega_macs: Limit = None
    max_mega_params: Limit = None
    max_weight_mib: Limit = None
    max_peak_mib: Limit = None

    @model_validator(mode="after")
    def _fits_the_algorithm(self) -> Self:
        keys = frozenset().union(*(entry.keys for entry in ALGORITHMS.values()))
        idle = self.model_fields_set & (keys - self.entry.keys)
        if idle:
            raise PydanticCustomError(
                "search", f'[search] algorithm = "{self.algorithm}" has no {min(idle)}: drop it'
            )
        n_predictions = self.population * self.generations
        most = self.entry.most_predictions
        if most is not None and n_predictions > most:
            raise PydanticCustomError(
                "search",
                f'[search] algorithm = "{self.algorithm}" looks at {most:,} networks at most, but '
                f"population times generations is {n_predictions:,}: lower one of them",
            )
        if len(set(self.objectives)) < len(self.objectives):
            raise PydanticCustomError("search", "[search] objectives must differ")
        if self.devices and "latency_ms" not in self.objectives:
            raise PydanticCustomError(
                "search", '[search] devices are compared by latency: add "latency_ms" to objectives'
            )
        if self.devices and self.entry.is_single:
            raise PydanticCustomError(
                "search", f'[search] algorithm = "{self.algorithm}" is for one device: drop devices'
            )
        if self.entry.spends_evaluations and "accuracy" not in self.objectives:
            raise PydanticCustomError(
                "search",
                f"a {self.algorithm} search learns accuracy: add it to [search] objectives",
            )
        return self

    @property
    def entry(self) -> AlgorithmEntry:
        """Line of the algorithm in its table."""
        return algorithms.entry_of(self.algorithm)

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
