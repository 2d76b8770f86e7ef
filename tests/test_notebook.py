"""One line at a prompt, escaped HTML and whole pictures of what users hold in their hands."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import nn

from tailorbird import spaces
from tailorbird.latency_tables import Configuration, Latency, LatencyTable, Record, Samples
from tailorbird.latency_tables.tables.record import Round
from tailorbird.notebook import ROWS, counted
from tailorbird.predictors import (
    AccuracyPredictor,
    AdaptedSum,
    AdditiveAccuracy,
    CalibratedSum,
    FewShotLatency,
    InferredSum,
    KnownAccuracy,
    Prediction,
    TableSum,
    WorkloadSum,
)
from tailorbird.search import (
    Constraint,
    Evaluated,
    Objective,
    ParetoFront,
    Problem,
    SearchResult,
    Unknown,
    exact_front,
)
from tailorbird.spaces import CALL, Architecture, Stage, Variable, Workload
from tailorbird.spaces.layered import LayeredGraph, LayeredSpace
from tailorbird.spaces.programs import Programs
from tailorbird.training import Dataset
from tailorbird.training.data.arrays import Split

SPACE = spaces.get("digits-resnet", batch=1)
OFA = spaces.get("ofa-mobilenetv3")
HOSTILE = "<script>alert</script>"
LONG = HOSTILE + "x" * 1_000


class Odd(LayeredSpace):
    """A space with names that browsers and terminals would obey, and more networks than floats."""

    name = LONG
    variables = (
        Variable(HOSTILE, (HOSTILE,) * 500),
        *(Variable(f"v{i}", ("0",)) for i in range(30)),
    )
    size = 10**400

    @property
    def graph(self) -> LayeredGraph:
        raise NotImplementedError


ODD: Any = Odd()


class Untidy:
    """Predicts, and says of each third network that it is beyond what it knows."""

    def predict(self, X: spaces.IntArray) -> Prediction:
        return Prediction(self.mean(X), np.full(len(X), 0.5), np.arange(len(X)) % 3 == 0)

    def mean(self, X: spaces.IntArray) -> spaces.FloatArray:
        return np.asarray(1.0 + X.sum(axis=1))


MACS = Objective("mega_macs", "", "min", WorkloadSum.mega_macs(SPACE))
PARAMS = Objective("mega_params", "", "max", WorkloadSum.mega_params(SPACE))
FRONT = exact_front(Problem(SPACE, (PARAMS, MACS)))


def table() -> LatencyTable:
    """All workloads of the space, a hostile one that took longest, and one that failed."""
    ops = [CALL, *SPACE.workloads, Workload(HOSTILE, (), ((1,),), "a:b")]
    rounds = ([np.full(5, 1.0 + i) * k for k in (1.0, 1.01)] for i in range(len(ops)))
    entries = {op.key: Latency.of_rounds(of) for op, of in zip(ops, rounds, strict=True)}
    configuration = Configuration("c", "t", 1, 1, LONG, "1", "static", "timing")
    return LatencyTable(LONG, configuration, entries, {f"no({HOSTILE})": HOSTILE})


def record(n_rounds: int = 50) -> Record:
    """Rounds of two programs that take turns; every tenth is discarded, and the last one failed."""

    def one(i: int, **values: Any) -> Round:
        samples = Samples(np.full(20, 1.0 + i % 2), np.empty(0))
        usual = {"number": i // 2, "samples": samples, "reference_ms": 1.0, "reason": None}
        status = "discarded" if i % 10 == 9 else "measured"
        return Round(
            uid=str(i), taken="2026-11-29T00:00:00+00:00", key=f"{HOSTILE}({i % 2})", session="s",
            provenance={}, **{"status": status, **usual, **values},
        )  # fmt: skip

    failed = {"status": "failed", "number": None, "samples": None, "reference_ms": None}
    last = one(n_rounds, **failed, reason=LONG)
    rounds = (*(one(i) for i in range(n_rounds)), last)
    return Record(LONG, LONG, table().configuration, {}, rounds, {})


def prediction(n: int = 1_000) -> Prediction:
    return Untidy().predict(SPACE.sample(n, np.random.default_rng(0)))


def dataset() -> Dataset:
    split = Split(np.zeros((100, 1, 8, 8), dtype=np.float32), np.zeros(100, dtype=np.int64))
    return Dataset("<script>" + "x" * 190, 2, split, split, split)


def predictors() -> list[object]:
    pool = np.random.default_rng(0).uniform(1.0, 2.0, (50, 3))
    sums = TableSum(SPACE, table())
    known = KnownAccuracy(FRONT.X, FRONT.F[:, 0], FRONT.std[:, 0], AccuracyPredictor(SPACE))
    tables = [table(), table()]
    return [
        sums, CalibratedSum(sums), InferredSum(SPACE), AdaptedSum(SPACE, tables), known,
        FewShotLatency(FRONT.X[:50], pool), AdditiveAccuracy(SPACE), AccuracyPredictor(SPACE),
        AccuracyPredictor(ODD), MACS.predictor,
    ]  # fmt: skip


def others() -> list[object]:
    problem = FRONT.problem
    odd = Objective(LONG + "\n", "", "min", Untidy())
    limits = tuple(Constraint(one, 1.0) for one in (MACS, PARAMS, odd))
    unknown = Unknown(Objective("accuracy", "", "max", AccuracyPredictor(SPACE)), np.ones)
    learning = Problem(SPACE, (unknown.objective,))
    return [
        SearchResult(FRONT, FRONT, problem.reference_point(0)), MACS, odd, *limits, problem,
        replace(problem, objectives=(MACS, PARAMS, odd), constraints=limits), dataset(),
        dataset().train, Architecture(OFA.landmarks[0], OFA),
        Stage(nn.Linear, depth=tuple(range(1, 99))), Evaluated(learning, [unknown]), unknown,
        *Odd.variables, *record().rounds,
        *table().entries.values(), *(spaces.get(name) for name in ("nasbench201", "fbnet")),
        Programs(HOSTILE, {LONG: (nn.Identity(), (1, 2))}),
    ]  # fmt: skip


def shown() -> dict[str, Any]:
    """What notebooks show as a table, under the names that users gave."""
    odd = Objective(LONG, "", "min", Untidy())
    return {
        "front": ParetoFront.of(FRONT.X[:200], Problem(SPACE, (odd, MACS))),
        "result": SearchResult(FRONT, None, np.zeros(2)),
        "table": table(),
        "record": record(),
        "prediction": prediction(),
        "space": ODD,
        "cells": spaces.get("nasbench201"),
    }


def test_reprs_are_one_short_line() -> None:
    for one in (FRONT, *predictors(), *others(), *shown().values()):
        line = repr(one)
        assert type(one).__name__ in line
        assert "array(" not in line
        assert "\n" not in line
        assert len(line) <= 200, line


def test_a_space_says_its_name_its_size_and_its_variables() -> None:
    space = spaces.get("digits-resnet")
    name = "digits-resnet(kernel=3,stride=1,max_stitches=3)"
    assert repr(space).startswith(f"StitchSpace('{name}', 4,795 networks, 4 variables: start (w4, ")
    frame = space.to_pandas()  # type: ignore[attr-defined]
    assert frame["variable"].tolist() == [variable.name for variable in space.variables]
    assert frame["choices"].map(len).tolist() == frame["n_choices"].tolist()
    assert "31 variables" in repr(ODD)


@pytest.mark.parametrize(
    ("n", "text"),
    [(0, "0 networks"), (1, "1 network"), (4_795, "4,795 networks"),
     (21_758_655_492_572_485_851, "2.2 * 10^19 networks"), (10**400, "1.0 * 10^400 networks")],
)  # fmt: skip
def test_numbers_of_things_are_read_at_a_glance(n: int, text: str) -> None:
    assert counted(n, "network") == text


@pytest.mark.parametrize(
    "name", ["front", "result", "table", "record", "prediction", "space", "cells"]
)
def test_html_is_well_formed_short_and_escaped(name: str) -> None:
    one = shown()[name]
    html = one._repr_html_()
    body = ElementTree.fromstring(html)
    assert "<script" not in html
    assert len(body.findall(".//tbody/tr")) <= ROWS
    assert len(body.findall(".//thead//th")) < 20
    assert len(html) < 50_000


def test_the_front_of_a_problem_needs_no_space_to_be_a_table() -> None:
    frame = FRONT.to_pandas()
    assert frame["architecture"].tolist() == [SPACE.describe(row) for row in FRONT.X]
    np.testing.assert_array_equal(frame[["mega_params", "mega_macs"]], FRONT.values)
    assert FRONT.objectives == FRONT.problem.objectives


def test_failures_are_rows_of_a_table_without_a_latency() -> None:
    frame = table().to_pandas()
    assert len(frame) == len(table().entries) + 1
    assert frame["median_ms"].isna().tolist() == [False] * (len(frame) - 1) + [True]
    assert frame["failure"].iloc[-1] == HOSTILE
    assert not frame["is_trusted"].iloc[-1]
    assert frame["std_ms"].iloc[0] == table().entries[frame["workload"].iloc[0]].std_ms


def test_a_record_as_a_table_has_every_try() -> None:
    frame = record(50).to_pandas()
    assert len(frame) == 51
    assert frame["median_ms"].iloc[:2].tolist() == [1.0, 2.0]
    assert frame["status"].value_counts().to_dict() == {"measured": 45, "discarded": 5, "failed": 1}
    assert pd.isna(frame["round"].iloc[-1])
    empty = replace(record(), rounds=())
    assert empty.to_pandas().empty
    ElementTree.fromstring(empty._repr_html_())


def test_a_prediction_as_a_table_says_what_is_extrapolated() -> None:
    one = prediction(9)
    frame = one.to_pandas()
    np.testing.assert_array_equal(frame["mean"], one.mean)
    np.testing.assert_array_equal(frame["std"], one.std)
    assert frame["extrapolated"].sum() == 3
    assert "extrapolated" not in replace(one, extrapolated=None).to_pandas()


@pytest.fixture
def ax() -> Axes:
    axes: Axes = Figure().subplots()
    return axes


def n_points(ax: Any) -> dict[str, int]:
    """Points of each bar chart or line, by its label."""
    bars = {bar.get_label(): bar.lines[0].get_xdata() for bar in ax.containers}
    lines = {line.get_label(): line.get_xdata() for line in ax.lines}
    return {name: len(x) for name, x in (bars or lines).items()}


def test_a_front_is_drawn_with_its_stds(ax: Axes) -> None:
    front = ParetoFront.of(
        FRONT.X[:20], Problem(SPACE, (PARAMS, Objective("a", "", "min", Untidy())))
    )
    assert front.plot(ax) is ax
    (points,) = ax.containers
    x, y = points.lines[0].get_data()  # type: ignore[attr-defined]
    np.testing.assert_array_equal(np.column_stack([y, x]), front.values)
    segments = points.lines[2][0].get_segments()  # type: ignore[attr-defined]
    assert len(segments) == len(front)
    assert np.ptp(segments[0][:, 0]) == pytest.approx(2 * front.std[0, 1])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("a", "mega_params")


def test_a_result_is_drawn_over_the_exact_front(ax: Axes) -> None:
    found = replace(FRONT, X=FRONT.X[:9], F=FRONT.F[:9], std=FRONT.std[:9], exact=False)
    SearchResult(found, FRONT, np.zeros(2)).plot(ax)
    assert [*n_points(ax).values()] == [len(FRONT), 9]
    alone: Axes = Figure().subplots()
    SearchResult(FRONT, FRONT, np.zeros(2)).plot(alone)
    assert [*n_points(alone).values()] == [len(FRONT)]


def test_a_front_of_three_objectives_is_not_drawn(ax: Axes) -> None:
    third = Objective("third", "", "min", Untidy())
    front = ParetoFront.of(FRONT.X[:20], Problem(SPACE, (PARAMS, MACS, third)))
    with pytest.raises(ValueError, match=r"by two objectives, but this one has 3.*to_pandas"):
        front.plot(ax)


def test_a_table_is_drawn_with_a_colour_for_each_operator(ax: Axes) -> None:
    table().plot(ax)
    drawn = n_points(ax)
    assert sum(drawn.values()) == len(table().entries)
    assert drawn[HOSTILE] == drawn["call"] == 1
    assert len(drawn) == len({key.partition("(")[0] for key in table().entries})


def test_nothing_and_names_that_are_formulas_are_drawn(ax: Axes) -> None:
    """Matplotlib reads dollars as formulas, and leaves out of legends what begins with `_`."""
    names = (r"$\frac$", "_Block", "a $1 or $2")
    entries = {f"{name}()[1]f32": Latency.of_rounds([np.ones(5)]) for name in names}
    replace(table(), entries=entries).plot(ax)
    legend = ax.get_legend()
    assert legend is not None
    assert len(legend.get_texts()) == len(names)
    objectives = (Objective(names[0], "", "min", Untidy()), MACS)
    front = ParetoFront.of(FRONT.X[:20], Problem(SPACE, objectives))
    nothing = Prediction(np.empty(0), np.empty(0))
    none = (replace(table(), entries={}), replace(record(), rounds=()), nothing)
    drawn: Any = [ax, *(one.plot(Figure().subplots()) for one in (front, *none))]
    for one in drawn:
        one.figure.canvas.draw()


def test_a_record_is_drawn_round_by_round(ax: Axes) -> None:
    record(50).plot(ax)
    assert n_points(ax) == {"measured": 45, "discarded": 5}
    for line in ax.lines:
        np.testing.assert_array_equal(line.get_ydata(), 1.0)


def test_a_prediction_is_drawn_with_its_intervals(ax: Axes) -> None:
    prediction(9).plot(ax, level=0.5)
    assert n_points(ax) == {"50% interval": 6, "extrapolated": 3}
    plain: Axes = Figure().subplots()
    replace(prediction(9), extrapolated=None).plot(plain)
    assert n_points(plain) == {"90% interval": 9}


@pytest.fixture
def backend() -> Iterator[None]:
    with mpl.rc_context():
        mpl.use("Agg")
        yield
        pyplot.close("all")


@pytest.mark.usefixtures("backend")
def test_without_axes_a_figure_of_its_own_is_drawn() -> None:
    drawn: list[Callable[[], Axes]] = [FRONT.plot, table().plot, record().plot, prediction().plot]
    axes = [draw() for draw in drawn]
    assert len({id(one.figure) for one in axes}) == len(pyplot.get_fignums()) == len(drawn)
    for one in axes:
        one.figure.canvas.draw()
