"""Which network of a front is exported, and what of a front is believed."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tailorbird import spaces
from tailorbird.errors import InfeasibleError, MissingStepError, RecipeError
from tailorbird.reports import choice
from tailorbird.spaces import IntArray, encodings
from tailorbird.spaces.stitching import StitchSpace

NUMBERS = {
    "accuracy_validation": [0.5, 0.7, 0.9, 0.8],
    "accuracy_predicted": [0.9, 0.1, 0.2, 0.3],
    "latency_ms_measured": [1.0, 2.0, 4.0, np.nan],
    "latency_ms_predicted": [9.0, 9.0, 0.1, 3.0],
}
FAST, RIGHT, SLOW, PREDICTED = range(4)
WIDE = spaces.get("deit-ti-s-b", max_stitches=4, kernel=6)


@pytest.fixture
def front(tmp_path: Path) -> Path:
    return tmp_path / "front.parquet"


def written(front: Path, space: StitchSpace, *, with_encoding: bool = True) -> IntArray:
    """A front of four networks; their rows."""
    X = np.unique(space.sample(40, np.random.default_rng(0)), axis=0)[:4]
    columns = {"architecture": [space.describe(row) for row in X], **NUMBERS}
    encoding = encodings.columns(X, space, columns) if with_encoding else {}
    pd.DataFrame(columns | encoding).to_parquet(front)
    return np.asarray(X)


def test_every_network_is_found_by_its_text(tiny_space: StitchSpace, front: Path) -> None:
    for row in np.vstack(list(tiny_space.enumerate())):
        found = choice.named(tiny_space.describe(row), tiny_space, front)
        np.testing.assert_array_equal(found, row)
    with pytest.raises(RecipeError, match="did you mean 'a0:0-2'"):
        choice.named("a0:0-3", tiny_space, front)


def test_a_limit_may_be_of_another_device(tiny_space: StitchSpace, front: Path) -> None:
    X = written(front, tiny_space)
    networks = pd.read_parquet(front)
    networks.assign(**{"latency_ms@a watch": [9.0, 8.0, 7.0, 6.0]}).to_parquet(front)
    for limit, row in ((6.5, PREDICTED), (7.0, SLOW)):
        taken = choice.fastest_enough(front, tiny_space, limit, "a watch")
        np.testing.assert_array_equal(taken, X[row])
    with pytest.raises(InfeasibleError, match="takes 6 ms"):
        choice.fastest_enough(front, tiny_space, 5.0, "a watch")
    with pytest.raises(MissingStepError, match="tailorbird report"):
        choice.fastest_enough(front, tiny_space, 5.0, "a phone")


@pytest.mark.parametrize("with_encoding", [True, False])
def test_the_most_accurate_network_that_is_fast_enough_is_taken(
    tiny_space: StitchSpace, front: Path, with_encoding: bool
) -> None:
    with pytest.raises(MissingStepError, match="tailorbird run"):
        choice.fastest_enough(front, tiny_space, 1.0)
    X = written(front, tiny_space, with_encoding=with_encoding)
    for limit, row in ((2.5, RIGHT), (3.0, PREDICTED), (None, SLOW)):
        taken = choice.fastest_enough(front, tiny_space, limit)
        np.testing.assert_array_equal(taken, X[row])
    with pytest.raises(InfeasibleError, match=r"takes 1 ms"):
        choice.fastest_enough(front, tiny_space, 0.5)
    with pytest.raises(InfeasibleError, match=r"<= 0.999999 ms must hold, .* takes 1 ms"):
        choice.fastest_enough(front, tiny_space, 0.999999)
    for wrong in (np.nan, np.inf, -1.0, 0.0):
        with pytest.raises(RecipeError, match="must be finite and positive, but got"):
            choice.fastest_enough(front, tiny_space, wrong)
    front.write_bytes(front.read_bytes()[:-9])
    with pytest.raises(MissingStepError, match=r"is torn. Make it anew with `tailorbird report"):
        choice.fastest_enough(front, tiny_space, None)


def test_a_network_of_a_front_is_found_in_a_space_too_large_to_walk_through(front: Path) -> None:
    assert isinstance(WIDE, StitchSpace)
    X = written(front, WIDE)
    np.testing.assert_array_equal(choice.fastest_enough(front, WIDE, 2.5), X[RIGHT])
    for row in X:
        np.testing.assert_array_equal(choice.named(WIDE.describe(row), WIDE, front), row)


def test_a_text_that_a_front_has_for_another_row_is_looked_for_in_the_space(
    tiny_space: StitchSpace, front: Path
) -> None:
    X = written(front, tiny_space)
    networks = pd.read_parquet(front)
    networks["start"] = networks["start"].to_numpy()[::-1]
    networks.to_parquet(front)
    for row in X:
        found = choice.named(tiny_space.describe(row), tiny_space, front)
        np.testing.assert_array_equal(found, row)


def test_an_encoding_whose_names_are_taken_is_left_out(tiny_space: StitchSpace) -> None:
    X = tiny_space.landmarks
    assert [*encodings.columns(X, tiny_space, ["kind"])] == ["start", "stitch_1", "stitch_2"]
    assert encodings.columns(X, tiny_space, ["kind", "stitch_2"]) == {}


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("latency_ms_measured", "fast"),
        ("latency_ms_predicted", np.nan),
        ("start", -1),
        ("start", 99),
        ("start", 0.5),
        ("start", None),
        ("stitch_1", 2),
        ("architecture", "of another space"),
    ],
)
def test_a_front_whose_values_do_not_agree_is_torn(
    column: str, value: object, tiny_space: StitchSpace, front: Path
) -> None:
    written(front, tiny_space)
    networks = pd.read_parquet(front).drop(columns=column)
    changed = pd.Series([value] * len(networks), name=column)
    pd.concat([networks, changed], axis="columns").to_parquet(front)
    with pytest.raises(MissingStepError, match=r"is torn\. Make it anew"):
        choice.fastest_enough(front, tiny_space, None)


def test_predictions_decide_where_no_accuracy_was_measured(
    tiny_space: StitchSpace, front: Path
) -> None:
    X = written(front, tiny_space)
    networks = pd.read_parquet(front)
    networks.assign(accuracy_validation=np.nan).to_parquet(front)
    np.testing.assert_array_equal(choice.fastest_enough(front, tiny_space, None), X[FAST])
