"""Predictors of spaces that leave their workloads open, or tell nothing by them."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from own_code import BarePerceptrons, Free, Perceptrons
from scipy.sparse import csr_array

from tailorbird import spaces
from tailorbird.errors import UnknownWorkloadsError
from tailorbird.predictors import (
    AdditiveAccuracy,
    InferredSum,
    PeakMemory,
    WorkloadSum,
    accuracy_predictor,
    mega_macs,
    mega_params,
    peak_mib,
    weight_mib,
)
from tailorbird.predictors.choices import ChoiceSum, centred_ranks, one_hot, ranked
from tailorbird.predictors.metrics import mape, spearman_rho
from tailorbird.registry.accuracy_predictors import ACCURACY_PREDICTORS
from tailorbird.search import Objective, ParetoFront, Problem, exact_front
from tailorbird.spaces import FloatArray, IntArray, SearchSpace, Variable
from tailorbird.spaces.layered import LayeredGraph

SLOW = ("auto", "boosting", "forest", "perceptrons")


class LayeredOnly:
    """A layered space that says how its choices go together, but not what they cost."""

    workloads = ()

    def __init__(self, space: Any) -> None:
        self._space = space
        layers = tuple(
            replace(layer, counts=_none(len(layer.source))) for layer in space.graph.layers
        )
        self.graph = LayeredGraph(layers, _none(space.graph.final.shape[0]))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._space, name)

    def count_workloads(self, X: IntArray) -> csr_array:
        return self.graph.count(X)


class OneProgram(Free):
    """Knows one workload, which all networks have alike."""

    name = "one-program"
    workloads = Perceptrons().workloads[:1]

    def count_workloads(self, X: IntArray) -> csr_array:
        return csr_array(np.ones((len(X), 1), dtype=np.int64))


def _none(n: int) -> csr_array:
    return csr_array((n, 0), dtype=np.int64)


def effects(space: SearchSpace, seed: int = 0) -> ChoiceSum:
    """What each choice adds; less than 1 together."""
    sizes = [len(variable.choices) for variable in space.variables]
    values = np.random.default_rng(seed).uniform(0.2, 0.9, sum(sizes)) / len(sizes)
    return ChoiceSum(space, values)


def split(space: SearchSpace, n: int) -> tuple[IntArray, IntArray]:
    X = np.unique(space.sample(4 * n, np.random.default_rng(0)), axis=0)
    X = np.random.default_rng(1).permutation(X)
    return X[:n], X[n:]


SPACES: dict[str, SearchSpace] = {
    "every row": Free(),
    "with repair": BarePerceptrons(),
    "layered": LayeredOnly(spaces.get("macro-mobilenetv2")),
    "one program": OneProgram(),
    "binary": Free((("off", "on"),) * 200),
}


@pytest.mark.parametrize(
    ("name", "which"),
    [
        pytest.param(name, which, marks=pytest.mark.long if name in SLOW else ())
        for name in ACCURACY_PREDICTORS
        for which in (("layered", "binary") if name in SLOW else SPACES)
        if name != "additive"
    ],
)
def test_accuracies_are_ranked_better_than_by_chance(name: str, which: str) -> None:
    space = SPACES[which]
    seen, fresh = split(space, 100 if which == "binary" else 25)
    truth = effects(space).mean
    predictor = accuracy_predictor(name, space).fit(seen, truth(seen))
    least = 0.2 if which == "binary" else 0.5  # of 200 effects, from 100 networks
    assert spearman_rho(predictor.mean(fresh), truth(fresh)) > least


@pytest.mark.parametrize("which", ["every row", "layered", "binary"])
def test_effects_add_up_along_choices(which: str) -> None:
    space = SPACES[which]
    seen, fresh = split(space, 60)
    truth = effects(space).mean
    predictor = AdditiveAccuracy(space).fit(seen, truth(seen))
    assert spearman_rho(predictor.mean(fresh), truth(fresh)) > (0.2 if which == "binary" else 0.9)


def test_effects_that_cannot_be_told_apart_by_paths_are_refused() -> None:
    with pytest.raises(ValueError, match=r"but bare-perceptrons is none\. Choose another model"):
        accuracy_predictor("additive", BarePerceptrons())


def test_a_single_network_teaches_that_there_is_nothing_to_tell_apart() -> None:
    space = Free((("only",), ("this",)))
    X = np.zeros((6, 2), dtype=np.int64)
    predictor = accuracy_predictor("process-totals", space).fit(X, np.linspace(0.5, 0.6, 6))
    assert 0.5 < predictor.mean(X[:1])[0] < 0.6


def test_choices_that_read_as_numbers_have_ranks() -> None:
    widths, ops = Variable("width", ("16", "8", "1e3")), Variable("op", ("conv", "pool", "skip"))
    np.testing.assert_array_equal(centred_ranks(widths), [0, -1, 1])
    for names in (ops.choices, ("1", "2", "nan"), ("1",), ("2", "2.0")):
        assert not centred_ranks(replace(ops, choices=names)).any()
    X = np.array([[2, 1], [1, 0]])
    np.testing.assert_array_equal(ranked([widths, ops], X), [[1, 0, 1, 0], [-1, 1, 0, 0]])
    for wrong in (X + 2, X - 2, X[:, :1]):
        with pytest.raises(ValueError, match=r"Rows must"):
            one_hot([widths, ops], wrong)


def test_latencies_are_inferred_from_choices() -> None:
    space = Free()
    seen, fresh = split(space, 60)
    ms = effects(space)
    fitted = InferredSum(space).fit(seen, ms.mean(seen))
    assert mape(fitted.mean(fresh), ms.mean(fresh)) < 0.01
    with pytest.raises(ValueError, match="must be canonical"):
        fitted.mean(fresh + 9)


def test_latencies_far_below_what_was_timed_stay_positive_and_are_marked() -> None:
    space = Free((tuple("123456789"), tuple("123456789")))
    X = np.concatenate(list(space.enumerate()))
    ms = np.prod(X + 1.0, axis=1) ** 2  # nothing that adds up
    fitted = InferredSum(space).fit(X[ms > 100], ms[ms > 100])
    predicted = fitted.predict(X)
    assert (predicted.mean > 0).all()
    assert predicted.extrapolated is not None
    np.testing.assert_array_equal(predicted.extrapolated, predicted.mean < fitted.least_ms_)
    assert 0 < predicted.extrapolated.sum() < len(X) / 2
    np.testing.assert_allclose(fitted.mean(X), predicted.mean)


def test_exact_fronts_of_spaces_too_large_to_list() -> None:
    """Effects of choices add up, whoever learned them."""
    space = SPACES["binary"]
    seen, _ = split(space, 60)
    accuracy = AdditiveAccuracy(space).fit(seen, effects(space).mean(seen))
    latency = InferredSum(space).fit(seen, effects(space, 1).mean(seen))
    problem = Problem(
        space,
        (Objective("accuracy", "", "max", accuracy), Objective("latency", "ms", "min", latency)),
    )
    front = exact_front(problem)
    assert front.exact
    ref_point = problem.reference_point(0)
    assert front.hypervolume(ref_point) > 2 * random_hypervolume(problem, ref_point)


def random_hypervolume(problem: Problem, ref_point: FloatArray) -> float:
    X = problem.space.sample(2_000, np.random.default_rng(3))
    return ParetoFront.of(X, problem).hypervolume(ref_point)


def test_costs_of_networks_are_counted_where_those_of_workloads_are_not_known() -> None:
    known, bare = Perceptrons(), BarePerceptrons()
    X = known.sample(5, np.random.default_rng(0))
    for cost in (mega_macs, mega_params, weight_mib):
        np.testing.assert_allclose(cost(bare).mean(X), cost(known).mean(X))
    assert (peak_mib(bare).predict(X).mean >= peak_mib(known).mean(X)).all()
    assert not mega_macs(bare).predict(X).std.any()
    with pytest.raises(
        UnknownWorkloadsError,
        match=r"bare-perceptrons names none\. Count whole .*`tailorbird\.predictors\.mega_macs`",
    ):
        WorkloadSum(bare, np.zeros(0))
    with pytest.raises(
        UnknownWorkloadsError,
        match=r"bare-perceptrons names none\. Count whole .*`tailorbird\.predictors\.mega_macs`",
    ):
        PeakMemory(bare)


def test_wrong_prices_name_the_network_alone() -> None:
    space = Free()
    latency = ChoiceSum(space, np.zeros(sum(len(v.choices) for v in space.variables)))
    problem = Problem(space, (Objective("latency", "ms", "min", latency),))
    with pytest.raises(ValueError, match=r"gives 0 for 4-3-0.5-relu-always-off-1\. Look for"):
        problem.minimised(space.landmarks)
