"""A module as users write them: one class of their own for each protocol, and wrong ones.

Recipes of tests name what is here by Python path, and the suites of `contracts` are joined by it.
"""

import copy
import itertools
import math
import os
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Self, cast

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor, nn

from tailorbird.errors import MeasurementError
from tailorbird.latency_tables import Artifact, Configuration, Device, Samples
from tailorbird.latency_tables.runtime import Tensors, Timing
from tailorbird.predictors import AccuracyInputs, LatencyInputs, Prediction
from tailorbird.search import ParetoFront, Problem
from tailorbird.search.settings import SearchSettings
from tailorbird.spaces import Architecture, FloatArray, IntArray, SearchSpace, Variable, Workload
from tailorbird.spaces.footprint import costs, n_macs

CALL_MS, MS_PER_MAC = 0.01, 1e-5
RNG = partial(np.random.default_rng, 0)
WIDTHS, MOST_LAYERS, N_INPUTS = (4, 8, 16), 3, 6


class Layer(nn.Module):
    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.linear = nn.Linear(n_in, n_out)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.linear(x))


@dataclass(frozen=True)
class Perceptrons:
    """One to three layers, of a width each; widths of layers that are not there do not matter."""

    batch: int = 1
    name: ClassVar = "perceptrons"

    @property
    def variables(self) -> tuple[Variable, ...]:
        widths = tuple(map(str, WIDTHS))
        depth = Variable("depth", tuple(str(n + 1) for n in range(MOST_LAYERS)))
        return (depth, *(Variable(f"width_{i}", widths) for i in range(MOST_LAYERS)))

    @property
    def size(self) -> int:
        return sum(len(WIDTHS) ** depth for depth in range(1, MOST_LAYERS + 1))

    @property
    def workloads(self) -> tuple[Workload, ...]:
        pairs = [(n, m) for n in (N_INPUTS, *WIDTHS) for m in WIDTHS]
        return tuple(self._workload(n, m) for n, m in pairs)

    def _workload(self, n_in: int, n_out: int) -> Workload:
        params, shape = (("n_in", n_in), ("n_out", n_out)), (self.batch, n_in)
        return Workload("own_layer", params, (shape,), "own_code:Layer")

    @property
    def input_shape(self) -> tuple[int, ...]:
        return (self.batch, N_INPUTS)

    @property
    def landmarks(self) -> IntArray:
        most = len(WIDTHS) - 1
        return np.array([[0, 0, 0, 0], [MOST_LAYERS - 1, *[most] * MOST_LAYERS]], dtype=np.int64)

    def repair(self, X: IntArray) -> IntArray:
        X = X.copy()
        layer = np.arange(MOST_LAYERS)
        X[:, 1:][layer > X[:, :1]] = 0
        return X

    def enumerate(self, chunk: int = 65_536) -> Iterator[IntArray]:
        choices = [range(len(variable.choices)) for variable in self.variables]
        X = np.array(list(itertools.product(*choices)), dtype=np.int64)
        X = X[(self.repair(X) == X).all(axis=1)]
        for first in range(0, len(X), chunk):
            yield X[first : first + chunk]

    def sample(self, n: int, rng: np.random.Generator) -> IntArray:
        (X,) = self.enumerate()
        return X[rng.integers(len(X), size=n)]

    def _widths(self, row: IntArray) -> list[int]:
        return [N_INPUTS, *(WIDTHS[i] for i in row[1 : 2 + row[0]])]

    def count_workloads(self, X: IntArray) -> csr_array:
        if not np.array_equal(self.repair(X), X):
            raise ValueError("Rows must be canonical.")
        place = {workload: i for i, workload in enumerate(self.workloads)}
        counts = np.zeros((len(X), len(place)), dtype=np.int64)
        for i, row in enumerate(X):
            for n, m in itertools.pairwise(self._widths(row)):
                counts[i, place[self._workload(n, m)]] += 1
        return csr_array(counts)

    def build(self, row: IntArray) -> nn.Module:
        return nn.Sequential(*(Layer(n, m) for n, m in itertools.pairwise(self._widths(row))))

    def describe(self, row: IntArray) -> str:
        return "-".join(map(str, self._widths(row)))

    def kind(self, row: IntArray) -> str:
        return "perceptron"


class BarePerceptrons(Perceptrons):
    """Perceptrons of which nobody says what they are made of."""

    name: ClassVar = "bare-perceptrons"
    workloads = ()

    def count_workloads(self, X: IntArray) -> csr_array:
        if not np.array_equal(self.repair(X), X):
            raise ValueError("Rows must be canonical.")
        return csr_array((len(X), 0), dtype=np.int64)


@dataclass(frozen=True)
class Free:
    """Every choice goes with every other; nothing but the encoding is known of a network.

    It has three layers, each as wide as the choices of a third of the variables say.
    """

    choices: tuple[tuple[str, ...], ...] = (
        ("4", "8", "16", "32"),
        ("3", "5", "7"),
        ("0.5", "1", "2"),
        ("relu", "tanh", "gelu", "silu"),
        ("always",),
        ("off", "on"),
        ("1", "2", "3"),
    )
    batch: int = 2
    name: ClassVar = "free"
    workloads: ClassVar[tuple[Workload, ...]] = ()

    @property
    def variables(self) -> tuple[Variable, ...]:
        return tuple(Variable(f"v{i}", choices) for i, choices in enumerate(self.choices))

    @property
    def size(self) -> int:
        return math.prod(map(len, self.choices))

    @property
    def input_shape(self) -> tuple[int, ...]:
        return (self.batch, N_INPUTS)

    @property
    def landmarks(self) -> IntArray:
        return np.array([[0] * len(self.choices), [len(c) - 1 for c in self.choices]])

    def repair(self, X: IntArray) -> IntArray:
        return X.copy()

    def enumerate(self, chunk: int = 65_536) -> Iterator[IntArray]:
        if self.size > 20_000_000:
            raise ValueError("There are too many.")
        rows = itertools.product(*map(range, map(len, self.choices)))
        while taken := list(itertools.islice(rows, chunk)):
            yield np.array(taken, dtype=np.int64)

    def sample(self, n: int, rng: np.random.Generator) -> IntArray:
        return rng.integers([len(c) for c in self.choices], size=(n, len(self.choices)))

    def count_workloads(self, X: IntArray) -> csr_array:
        return csr_array((len(X), 0), dtype=np.int64)

    def build(self, row: IntArray) -> nn.Module:
        widths = [N_INPUTS, *(1 + 2 * int(part.sum()) for part in np.array_split(row, 3))]
        return nn.Sequential(*(Layer(n, m) for n, m in itertools.pairwise(widths)))

    def describe(self, row: IntArray) -> str:
        return "-".join(c[i] for c, i in zip(self.choices, row, strict=True))

    def kind(self, row: IntArray) -> str:
        return "free"


class Neighbours:
    """Accuracy of the nearest row that was evaluated."""

    def __init__(self, inputs: AccuracyInputs) -> None:
        self.n_images = inputs.n_images

    def fit(self, X: IntArray, y: FloatArray) -> Self:
        self.X, self.y = np.asarray(X), np.asarray(y, dtype=np.float64)
        return self

    refit = fit

    def mean(self, X: IntArray) -> FloatArray:
        apart = (X[:, None] != self.X[None]).mean(axis=2)
        return np.asarray([self.y[row == row.min()].mean() for row in apart])

    def predict(self, X: IntArray) -> Prediction:
        return Prediction(self.mean(X), np.full(len(X), 0.05))


class Unfitted(Neighbours):
    def fit(self, X: IntArray, y: FloatArray) -> Self:
        raise RuntimeError("not today")


class Short(Neighbours):
    def predict(self, X: IntArray) -> Prediction:
        return super().predict(X[:1])


class Tuples(Neighbours):
    def predict(self, X: IntArray) -> Any:
        return super().mean(X), 0.1


class Negative(Neighbours):
    def predict(self, X: IntArray) -> Prediction:
        return Prediction(self.mean(X), np.full(len(X), -0.1))


class Column(Neighbours):
    def mean(self, X: IntArray) -> FloatArray:
        return super().mean(X)[:, None]

    def predict(self, X: IntArray) -> Prediction:
        return Prediction(np.full(len(X), 0.5), np.full(len(X), 0.1))


class PerCent(Neighbours):
    def mean(self, X: IntArray) -> FloatArray:
        return 100 * super().mean(X)


class NaNs(Neighbours):
    def predict(self, X: IntArray) -> Prediction:
        return Prediction(self.mean(X), np.full(len(X), np.nan))


class NaNMeans(Neighbours):
    def mean(self, X: IntArray) -> FloatArray:
        return np.full(len(X), np.nan)

    def predict(self, X: IntArray) -> Prediction:
        return Prediction(np.full(len(X), 0.5), np.full(len(X), 0.1))


class Overwrites(Neighbours):
    """Works in place on all that it is given."""

    def fit(self, X: IntArray, y: FloatArray) -> Self:
        super().fit(X.copy(), y.copy())
        X[:], y[:] = 0, 0.0
        return self

    refit = fit

    def mean(self, X: IntArray) -> FloatArray:
        means = super().mean(X)
        X[:] = 0
        return means


class Random(Neighbours):
    def mean(self, X: IntArray) -> FloatArray:
        return np.asarray(super().mean(X) + np.random.default_rng().normal(0, 0.1, len(X)))


class NoRefit:
    def __init__(self, inputs: AccuracyInputs) -> None:
        pass

    def fit(self, X: IntArray, y: FloatArray) -> Self:
        return self


def nobody() -> None:
    """Takes no inputs."""


@dataclass
class Proportional:
    """Latency in proportion to multiply-adds, as whole networks or a table say."""

    space: SearchSpace
    ms: float  # of one

    def mean(self, X: IntArray) -> FloatArray:
        return self.ms * macs_of(self.space, X)

    def predict(self, X: IntArray) -> Prediction:
        return Prediction(self.mean(X), 0.1 * np.abs(self.mean(X)))


def macs_of(space: SearchSpace, X: IntArray) -> FloatArray:
    return np.asarray(space.count_workloads(X) @ costs(space.workloads)[:, 0], dtype=np.float64)


def below_zero(inputs: LatencyInputs) -> Proportional:
    return replace(proportional(inputs), ms=-1.0)


def of_fifty(inputs: LatencyInputs) -> Proportional:
    if len(inputs.X) < 50:
        raise ValueError(f"only {len(inputs.X)}")
    return proportional(inputs)


def proportional(inputs: LatencyInputs) -> Proportional:
    if len(inputs.X):
        per_mac = inputs.y_ms / macs_of(inputs.space, inputs.X)
        return Proportional(inputs.space, float(np.median(per_mac)))
    workloads = inputs.space.workloads
    ms = [inputs.table.entries[workload.key].median_ms for workload in workloads]
    return Proportional(inputs.space, float(np.sum(ms) / costs(workloads)[:, 0].sum()))


class Simulator:
    """Simulates a board whose latency is known: it goes by arithmetic alone."""

    name: ClassVar = "simulator"
    losses: ClassVar[tuple[str, ...]] = ()

    def __init__(self, folder: Path, timing: Timing) -> None:
        self._folder, self._timing = folder, timing
        self._modules: dict[Path, nn.Module] = {}

    @classmethod
    def on(cls, device: Device, folder: Path, timing: Timing, tuning: object) -> Self:
        return cls(folder, timing)

    def configuration(self, device: Device, batch: int) -> Configuration:
        return Configuration(
            cpu=device.cpu,
            target="a board",
            threads=device.threads,
            batch=batch,
            runtime=self.name,
            runtime_version=torch.__version__,
            schedule="none",
            timing="own-1",
        )

    def compile(self, module: nn.Module, inputs: Tensors, device: Device) -> Artifact:
        try:
            with torch.inference_mode():
                module(*map(torch.from_numpy, inputs))
        except Exception as error:
            raise MeasurementError(str(error)) from error
        path = self._folder / str(len(self._modules))
        self._modules[path] = module
        return Artifact(path)

    def run(self, artifact: Artifact, inputs: Tensors, device: Device) -> Tensors:
        with torch.inference_mode():
            output = self._modules[artifact.path](*map(torch.from_numpy, inputs))
        return (output.numpy(),)

    def measure(
        self, artifact: Artifact, inputs: Tensors, device: Device, n_copies: int
    ) -> Samples:
        module = copy.deepcopy(self._modules[artifact.path]).to("meta")
        ms = CALL_MS + MS_PER_MAC * n_macs(module, [x.shape for x in inputs])
        hot_ms = np.full(3 if n_copies > 1 else 0, 0.9 * ms)
        return Samples(np.full(self._timing.least_samples, ms), hot_ms)

    def close(self) -> None:
        pass


class Broken(Simulator):
    name: ClassVar = "broken"

    def compile(self, module: nn.Module, inputs: Tensors, device: Device) -> Artifact:
        raise RuntimeError("no compiler today")


class TwoLines(Simulator):
    name: ClassVar = "two\nlines"


class TimelessSimulator(Simulator):
    name: ClassVar = "timeless"

    def measure(
        self, artifact: Artifact, inputs: Tensors, device: Device, n_copies: int
    ) -> Samples:
        return Samples(np.array([np.nan]), np.array([]))


class Nameless(Simulator):
    name: ClassVar = ""


class SameName(Simulator):
    name: ClassVar = "tvm"


class OtherName(Simulator):
    name: ClassVar = "other-name"

    def configuration(self, device: Device, batch: int) -> Configuration:
        return replace(super().configuration(device, batch), runtime="another")


class Pathless(Simulator):
    name: ClassVar = "pathless"

    def compile(self, module: nn.Module, inputs: Tensors, device: Device) -> Any:
        return super().compile(module, inputs, device).path


def hill_climbing(problem: Problem, settings: SearchSettings) -> ParetoFront:
    """Changes one variable of a network of the front at a time."""
    rng, space = np.random.default_rng(settings.seed), problem.space
    rows = space.sample(settings.population, rng)
    while len(rows) < settings.n_evaluations:
        parents = rows[rng.integers(len(rows), size=settings.population)]
        column = rng.integers(len(space.variables), size=len(parents))
        n_choices = np.array([len(variable.choices) for variable in space.variables])[column]
        parents[np.arange(len(parents)), column] = rng.integers(n_choices)
        rows = np.vstack([rows, space.repair(parents)])
    return replace(ParetoFront.of(rows, problem), seed=settings.seed)


def rows_only(problem: Problem, settings: SearchSettings) -> Any:
    return problem.space.landmarks


def uncanonical(problem: Problem, settings: SearchSettings) -> ParetoFront:
    front = hill_climbing(problem, settings)
    X = np.array([[len(v.choices) - 1 for v in problem.space.variables]], dtype=np.int64)
    return replace(front, X=np.repeat(X, len(front), axis=0))


def infeasible(problem: Problem, settings: SearchSettings) -> ParetoFront:
    return ParetoFront.of(problem.space.sample(40, RNG()), replace(problem, constraints=()))


def lies(problem: Problem, settings: SearchSettings) -> ParetoFront:
    """Dominated rows, some of them twice, under values that are made up, and called exact."""
    X = np.repeat(problem.space.sample(20, RNG()), 2, axis=0)
    F = np.full((40, len(problem.objectives)), -1.0)
    return ParetoFront(X, F, np.zeros_like(F), problem, 40, exact=True)


def torn_values(problem: Problem, settings: SearchSettings) -> ParetoFront:
    front = hill_climbing(problem, settings)
    return replace(front, F=front.F[:1, :1], std=front.std[:0])


def counts_in_words(problem: Problem, settings: SearchSettings) -> Any:
    return replace(hill_climbing(problem, settings), n_evaluations=cast("int", "many"))


def history_of_nans(problem: Problem, settings: SearchSettings) -> ParetoFront:
    return replace(hill_climbing(problem, settings), history=(float("nan"),))


def fractions_of_choices(problem: Problem, settings: SearchSettings) -> ParetoFront:
    front = hill_climbing(problem, settings)
    return replace(front, X=cast("IntArray", front.X + 0.25))


def beyond_the_choices(problem: Problem, settings: SearchSettings) -> ParetoFront:
    front = hill_climbing(problem, settings)
    return replace(front, X=front.X + 100)


def by_name(problem: Problem, settings: SearchSettings) -> ParetoFront:
    """Looks for objectives by their names, as in the recipe."""
    assert [o.column for o in problem.objectives] == ["accuracy", "latency_ms"]
    assert [o.sense for o in problem.objectives] == ["max", "min"]
    return hill_climbing(problem, settings)


def fails(problem: Problem, settings: SearchSettings) -> ParetoFront:
    raise LookupError("lost the way")


def n_weights(module: nn.Module, images: Tensor, labels: Tensor) -> float:
    return float(sum(p.numel() for p in module.parameters()) / 1e4)


def two_numbers(module: nn.Module, images: Tensor, labels: Tensor) -> Mapping[str, float]:
    return {"a": 1.0, "b": 2.0}


def raising_score(module: nn.Module, images: Tensor, labels: Tensor) -> float:
    raise ZeroDivisionError("by nothing")


def infinite_score(module: nn.Module, images: Tensor, labels: Tensor) -> float:
    return float("inf")


NOT_CALLABLE = 3


def by_width(architecture: Architecture) -> float:
    """Accuracy that grows with the layers of a perceptron."""
    return 1 - 1 / (1 + sum(map(int, architecture.text.split("-")[1:])) / 10)


def all_by_width(architectures: list[Architecture]) -> FloatArray:
    return np.array([by_width(architecture) for architecture in architectures])


def as_numpy(architecture: Architecture) -> Any:
    return np.float64(by_width(architecture))


def as_array(architecture: Architecture) -> Any:
    return np.array(by_width(architecture))


def as_tensor(architecture: Architecture) -> Any:
    return torch.tensor(by_width(architecture))


def with_gradient(architecture: Architecture) -> Any:
    return torch.tensor(by_width(architecture), requires_grad=True)


def moves_and_prints(architecture: Architecture) -> float:
    print("somewhere else")  # noqa: T201
    os.chdir("/")
    return by_width(architecture)


def overwrites_row(architecture: Architecture) -> float:
    architecture.row[:] = 0
    return by_width(architecture)


class ByWidth:
    def __call__(self, architecture: Architecture) -> float:
        return by_width(architecture)


by_object = ByWidth()


def all_as_tensor(architectures: list[Architecture]) -> Any:
    return torch.from_numpy(all_by_width(architectures))


def clears_list(architectures: list[Architecture]) -> Any:
    accuracies = all_by_width(architectures)
    architectures.clear()
    return accuracies


def counts_parameters(architecture: Architecture) -> float:
    depth = 1 + int(architecture.row[0])
    assert architecture.choices["depth"] == str(depth)
    network = architecture.build()
    assert len([*network.children()]) == depth
    return n_weights(network, torch.empty(0), torch.empty(0))


def raises(architecture: Architecture) -> float:
    raise LookupError("not there")


def exits(architecture: Architecture) -> float:
    sys.exit(3)


def gives_nan(architecture: Architecture) -> float:
    return float("nan")


def per_cents(architecture: Architecture) -> float:
    return 97.0


def nothing_at_all(architecture: Architecture) -> Any:
    return None


def a_text(architecture: Architecture) -> Any:
    return "0.5"


def complex_number(architecture: Architecture) -> Any:
    return 0.5 + 0j


def one_in_an_array(architecture: Architecture) -> Any:
    return np.array([0.5])


def one_too_many(architectures: list[Architecture]) -> Any:
    return [0.5] * (len(architectures) + 1)


def all_in_columns(architectures: list[Architecture]) -> Any:
    return all_by_width(architectures)[:, None]


def all_none(architectures: list[Architecture]) -> Any:
    return [None] * len(architectures)


def takes_for_ever(architecture: Architecture) -> float:
    time.sleep(1_000)
    return 0.5


def forks(architecture: Architecture) -> float:
    os.fork()
    return by_width(architecture)


def fails_when_wide(architecture: Architecture) -> float:
    if architecture.row[1] == len(WIDTHS) - 1:
        raise ValueError("too wide")
    return by_width(architecture)


class Added(nn.Module):
    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return a + b


class Noisy(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + torch.rand_like(x)


class Twice(nn.Module):
    def forward(self, x: Tensor) -> Any:
        return x, x


def programs(width: int = 8) -> Any:
    return {
        "classifier": (nn.Sequential(nn.Linear(width, 4), nn.ReLU(), nn.Linear(4, 2)), (2, width)),
        "sum": (Added(), ((2, width), (2, width))),
        "first layer": (nn.Linear(width, width), [2, width]),
    }


def no_programs() -> Any:
    return [nn.ReLU()]


def noisy_programs() -> Any:
    return {"noisy": (Noisy(), (1, 4))}


def tuples() -> Any:
    return {"twice": (Twice(), (1, 4))}
