"""No network costs nothing, less, or more than anybody waits: from files to the search."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tailorbird import spaces
from tailorbird.errors import MeasurementError, PriceError
from tailorbird.latency_tables import Configuration, Latency, LatencyTable, Store
from tailorbird.latency_tables.formats import files
from tailorbird.latency_tables.formats.imported import Stated, record_of
from tailorbird.latency_tables.tables.record import Record
from tailorbird.predictors import AccuracyPredictor, Prediction, TableSum
from tailorbird.predictors.counted_costs import WorkloadSum
from tailorbird.predictors.latency.missing_workloads import complete
from tailorbird.progress import NoProgress
from tailorbird.search import Constraint, Objective, Problem, best, exact_front
from tailorbird.search.algorithms.guided.guided import guided
from tailorbird.search.algorithms.guided.history import Unknown
from tailorbird.search.algorithms.nsga2 import nsga2
from tailorbird.search.algorithms.optuna_search import optuna_search
from tailorbird.search.algorithms.random_search import random_search
from tailorbird.search.algorithms.regularised_evolution import regularised_evolution
from tailorbird.spaces import CALL, FloatArray, IntArray

Tailorbird = Callable[..., tuple[int, str, str]]

# A table that others measured, and accuracies that need neither training nor published data.
RECIPE = """
name = "p"
[space]
name = "digits-resnet"
max_stitches = 1
[device]
name = "{device}"
batch = 4
[latency]
{latency}
[accuracy]
train_epochs = 1
stitch_epochs = 0
evaluations = 12
"""
SPACE = spaces.get("digits-resnet", batch=4, max_stitches=1)
KEYS = [workload.key for workload in SPACE.workloads]
CONFIGURATION = Configuration.imported("a device", threads=1, batch=4)


def write(ms: dict[str, str], std_ms: str = "") -> None:
    """The recipe, and a CSV in which workloads take 1 ms unless it is said otherwise."""
    Path("p.toml").write_text(RECIPE.format(device="a device", latency='runtime = "imported"'))
    cells = dict.fromkeys(KEYS, "1.0") | ms
    lines = [f'"{key}",{value},{std_ms}' for key, value in cells.items()]
    Path("p.csv").write_text("\n".join(["key,ms,std_ms", *lines]) + "\n")


@pytest.mark.parametrize(
    ("ms", "std_ms", "said"),
    [
        ({CALL.key: "1000"}, "", "none can be faster"),
        ({CALL.key: "1.001", KEYS[3]: "2"}, "", "and 14 of 15 programs take less"),
        ({KEYS[3]: "1e308"}, "", "line 5: ms must be 1e-09 to 1e+09 ms, but is 1e+308"),
        ({KEYS[3]: "1e400"}, "", "line 5: ms must be finite and positive, but is inf"),
        ({KEYS[3]: "-0.0"}, "", "line 5: ms must be finite and positive, but is -0"),
        ({}, "1e200", "line 2: std_ms must be a spread of at most 10 times the latency"),
        ({}, "11", "line 2: std_ms must be a spread of at most 10 times the latency"),
        ({}, "inf", "line 2: std_ms must be finite and not negative, but is inf"),
        ({}, "-1", "line 2: std_ms must be finite and not negative, but is -1"),
    ],
)
def test_what_is_no_price_is_refused_at_the_import(
    tailorbird: Tailorbird, ms: dict[str, str], std_ms: str, said: str
) -> None:
    write(ms, std_ms)
    code, out, err = tailorbird("table", "import", "p.toml", "p.csv")
    assert code == 2, out
    assert said in err
    assert err.count("\n") == 1
    code, _, err = tailorbird("search", "p.toml")  # nothing was taken in
    assert code == 2
    assert "There is no table of 'a device' yet" in err


def test_a_call_that_arrives_later_is_refused_as_well(tailorbird: Tailorbird) -> None:
    write({})
    assert tailorbird("table", "import", "p.toml", "p.csv")[0] == 0
    Path("call.csv").write_text(f'key,ms\n"{CALL.key}",5\n')
    code, _, err = tailorbird("table", "import", "p.toml", "call.csv")
    assert code == 2
    assert f"{CALL.key} takes 5 ms, and 15 of 15 programs take less" in err
    Path("call.csv").write_text(f'key,ms\n"{CALL.key}",0.5\n')
    assert tailorbird("table", "import", "p.toml", "call.csv")[0] == 0


def exported(ms: dict[str, float]) -> Record:
    """As a user's file holds it: with a right checksum, whatever its content."""
    stated = [Stated(key, ms.get(key, 1.0), None, 0) for key in (*KEYS, CALL.key)]
    return record_of(stated, {"file": "f"}, CONFIGURATION, SPACE.name)


def test_a_file_by_which_networks_take_no_time_is_refused(tailorbird: Tailorbird) -> None:
    files.write(exported({CALL.key: 30.0, KEYS[4]: 40.0}), Path("f.json"))
    Path("p.toml").write_text(RECIPE.format(device="f.json", latency='runtime = "imported"'))
    code, _, err = tailorbird("search", "p.toml")
    assert code == 2
    assert (
        f"{CALL.key} takes 30 ms, and 14 of 15 programs take less (first: {KEYS[0]}, 1 ms)" in err
    )
    assert err.count("\n") == 1


def table(call_ms: float, ms: FloatArray) -> LatencyTable:
    entries = {
        workload.key: Latency.stated(float(one), None)
        for workload, one in zip(SPACE.workloads, ms, strict=True)
    }
    entries[CALL.key] = Latency.stated(call_ms, None)
    return LatencyTable("a device", CONFIGURATION, entries, {})


MEASURED = Configuration("a processor", "x86-64-v3", 1, 4, "fake", "1", "none", "test")


@pytest.mark.parametrize(
    ("configuration", "call_ms", "is_refused"),
    [
        (CONFIGURATION, 1.0, False),
        (CONFIGURATION, 1.001, True),
        (MEASURED, 1.1, False),  # what does next to nothing may seem faster than nothing
        (MEASURED, 1.2, True),
    ],
)
def test_a_table_is_refused_if_its_call_costs_more_than_what_contains_it(
    configuration: Configuration, call_ms: float, is_refused: bool
) -> None:
    ms = np.arange(1.0, 1.0 + len(KEYS))
    made = replace(table(call_ms, ms), configuration=configuration)
    if is_refused:
        with pytest.raises(
            PriceError, match=re.escape(f"1 of 15 programs take less (first: {KEYS[0]}")
        ):
            TableSum(SPACE, made)
    else:
        assert (TableSum(SPACE, made).mean(SPACE.landmarks) > 0).all()


@pytest.mark.parametrize("ms", [np.inf, np.nan, 0.0, -1.0, 1e10, 1e308, 1e-300])
def test_no_entry_is_longer_than_anybody_waits(ms: float) -> None:
    with pytest.raises(PriceError, match="finite and positive"):
        Latency.stated(ms, None)
    with pytest.raises((PriceError, MeasurementError), match="finite and positive"):
        exported({KEYS[0]: ms})


@dataclass
class Odd:
    """A latency predictor of somebody's own; one network has a value of its own."""

    of_one: float
    std: float = 0.1

    def mean(self, X: IntArray) -> FloatArray:
        return np.where((SPACE.landmarks[2] == X).all(axis=1), self.of_one, 5.0)

    def predict(self, X: IntArray) -> Prediction:
        return Prediction(self.mean(X), np.full(len(X), self.std))


USES: dict[str, Callable[[Problem, IntArray], Any]] = {
    "minimised": lambda problem, X: problem.minimised(X),
    "predict": lambda problem, X: problem.predict(X),
    "reference_point": lambda problem, X: problem.reference_point(0),
    "limit": lambda problem, X: problem.violation(X, np.zeros((len(X), 1))),
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("value", [0.0, -8990.0, np.nan, np.inf, -np.inf])
def test_no_search_is_handed_what_is_no_price(use: str, value: float) -> None:
    latency = Objective("latency", "ms", "min", Odd(value))
    macs = Objective("mega_macs", "", "min", WorkloadSum.mega_macs(SPACE))
    objectives = (macs,) if use == "limit" else (latency,)
    problem = Problem(SPACE, objectives, (Constraint(latency, 9.0),) if use == "limit" else ())
    with pytest.raises(PriceError) as told:
        USES[use](problem, SPACE.landmarks)
    if use != "predict" or np.isfinite(value):  # else the predictor itself may not say so
        assert SPACE.describe(SPACE.landmarks[2]) in str(told.value)
        assert KEYS[2].partition("(")[0] in str(told.value)
    assert (
        USES[use](replace(problem, objectives=(macs,), constraints=()), SPACE.landmarks) is not None
    )


ALGORITHMS: dict[str, Callable[[Problem], Any]] = {
    "nsga2": lambda p: nsga2(
        p, population=8, generations=3, seed=0, ref_point=np.array([99.0, 99.0])
    ),
    "exact": exact_front,
    "random": lambda p: random_search(
        p, n_evaluations=40, seed=0, ref_point=np.array([99.0, 99.0])
    ),
    "evolution": lambda p: regularised_evolution(
        p, n_evaluations=40, population=8, sample=2, seed=0, ref_point=np.array([99.0, 99.0])
    ),
    "optuna": lambda p: optuna_search(
        p, sampler="RandomSampler", n_evaluations=8, seed=0, ref_point=np.array([99.0, 99.0])
    ),
    "best": lambda p: best(replace(p, objectives=p.objectives[:1])),
}


class Constant(WorkloadSum):
    """What each workload adds, negative as may be."""

    def __init__(self, each: float) -> None:
        super().__init__(SPACE, np.full(len(SPACE.workloads), each))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_no_algorithm_finds_a_network_that_takes_no_time(algorithm: str) -> None:
    macs = Objective("mega_macs", "", "min", WorkloadSum.mega_macs(SPACE))
    latency = Objective("latency", "ms", "min", Constant(-1.0))
    with pytest.raises(PriceError, match="latency_ms must be finite and positive"):
        ALGORITHMS[algorithm](Problem(SPACE, (latency, macs)))
    good = Objective("latency", "ms", "min", Constant(1.0))
    assert len(ALGORITHMS[algorithm](Problem(SPACE, (good, macs))))


@pytest.mark.parametrize("is_limit", [False, True])
def test_guided_search_refuses_it_as_well(is_limit: bool) -> None:
    learner = AccuracyPredictor(SPACE, n_images=100)
    accuracy = Objective("accuracy", "", "max", learner)
    latency = Objective("latency", "ms", "min", Constant(-1.0))
    macs = Objective("mega_macs", "", "min", WorkloadSum.mega_macs(SPACE))
    limits = (Constraint(latency, 9.0),) if is_limit else ()
    problem = Problem(SPACE, (accuracy, macs if is_limit else latency), limits)

    def evaluate(X: IntArray) -> FloatArray:
        return np.linspace(0.5, 0.9, len(X))

    unknown = Unknown(accuracy, evaluate, np.zeros_like)
    with pytest.raises(PriceError, match="latency_ms must be finite and positive"):
        guided(
            problem, [unknown], start=SPACE.landmarks, n_evaluations=12, batch=2, seed=0,
            progress=NoProgress(),
        )  # fmt: skip


def test_stds_are_finite_and_not_negative() -> None:
    problem = Problem(SPACE, (Objective("latency", "ms", "min", Odd(1.0, std=-5.0)),))
    with pytest.raises(
        PriceError, match="latency_ms standard deviation must be finite and not neg"
    ):
        problem.predict(SPACE.landmarks)


def test_what_is_next_to_unknown_is_not_estimated() -> None:
    space = spaces.get("macro-mobilenetv2")
    blocks = [workload for workload in space.workloads if workload.op == "mb_block"]
    rng = np.random.default_rng(0)
    entries = {
        workload.key: Latency.stated(float(10 ** rng.uniform(-9, 9)), None)
        for workload in space.workloads
        if workload not in blocks[:2]
    }
    made = LatencyTable("a device", CONFIGURATION, entries, {})
    with pytest.raises(PriceError, match=r"a spread of at most 10 times itself.*mb_block\("):
        complete(space, made)


def test_other_objectives_may_be_zero_or_less_but_are_finite() -> None:
    values: NDArray[np.float64] = np.array([-1.0, 0.0, 3.0])
    score, latency = (Objective("one", unit, "max", Odd(1.0)) for unit in ("", "ms"))
    assert score.allows(values).tolist() == [True, True, True]
    assert latency.allows(values).tolist() == [False, False, True]
    for odd in (np.nan, np.inf, -np.inf):
        assert not score.allows(np.array([odd]))
        assert not latency.allows(np.array([odd]))


def test_a_store_that_refuses_keeps_what_it_had(store: Store) -> None:
    good = exported({CALL.key: 0.5})
    without_call = tuple(one for one in good.rounds if one.key != CALL.key)
    store.take_in(replace(good, rounds=without_call))
    with pytest.raises(PriceError, match="none can be faster"):
        store.take_in(exported({CALL.key: 3.0}))
    assert len(store.table(CONFIGURATION, "a device", 1).entries) == len(KEYS)
