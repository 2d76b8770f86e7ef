from pathlib import Path

import numpy as np
import optuna
import pandas as pd
import pytest

from tailorbird import spaces
from tailorbird.errors import EncodingError
from tailorbird.predictors import FloatArray
from tailorbird.progress import NoProgress
from tailorbird.search import earlier
from tailorbird.search.evaluation import InProcess
from tailorbird.search.study import Study
from tailorbird.spaces import IntArray

SPACE = spaces.get("digits-resnet", batch=1)
X = np.unique(SPACE.sample(20, np.random.default_rng(0)), axis=0)
Y = np.linspace(0, 1, len(X))


def table(**changed: object) -> pd.DataFrame:
    columns = {variable.name: X[:, i] for i, variable in enumerate(SPACE.variables)}
    return pd.DataFrame({"architecture": "any", **columns, "accuracy": Y, **changed})


def write(frame: pd.DataFrame, folder: Path, ending: str) -> Path:
    path = folder / f"earlier.{ending}"
    if ending == "csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path, index=False)
    return path


def value(rows: IntArray) -> FloatArray:
    return np.asarray(rows.sum(axis=1) / 1e3)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_what_was_written_is_read_and_never_evaluated(tmp_path: Path, ending: str) -> None:
    path = write(pd.concat([table(), table(accuracy=0.5)]), tmp_path, ending)
    rows, accuracies = earlier.read(path, SPACE)
    np.testing.assert_array_equal(rows, X)
    np.testing.assert_array_equal(accuracies, Y)  # of several of one network the first

    asked = []

    def evaluator(new: IntArray) -> FloatArray:
        asked.extend(new.tolist())
        return value(new)

    study = Study(f"sqlite:///{tmp_path / 's.sqlite'}", "a", SPACE)
    assert (
        study.evaluate(X[:2], InProcess(evaluator), NoProgress()).tolist() == value(X[:2]).tolist()
    )
    assert study.add(rows, accuracies, path.name) == len(X) - 2
    assert study.add(rows, accuracies, path.name) == 0
    y = study.evaluate(X, InProcess(evaluator), NoProgress())
    np.testing.assert_array_equal(y, [*value(X[:2]), *Y[2:]])  # what was known stays
    assert asked == X[:2].tolist()
    trials = optuna.load_study(storage=f"sqlite:///{tmp_path / 's.sqlite'}", study_name="a").trials
    assert [t.user_attrs.get("source") for t in trials] == [None] * 2 + [path.name] * (len(X) - 2)


def test_rows_become_canonical(tmp_path: Path) -> None:
    some = np.array([[0, 0, 1, 2], [0, 1, 0, 2]])
    columns = {variable.name: some[:, i] for i, variable in enumerate(SPACE.variables)}
    path = write(pd.DataFrame({**columns, "accuracy": [0.25, 1.0]}), tmp_path, "csv")
    rows, accuracies = earlier.read(path, SPACE)
    np.testing.assert_array_equal(rows, np.unique(SPACE.repair(some), axis=0)[: len(rows)])
    assert accuracies[0] == 0.25


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (table().drop(columns="stitch_2"), "'stitch_2' is missing; did you mean 'stitch_"),
        (table().drop(columns="accuracy"), "'accuracy' is missing"),
        (table().head(0), "There are no evaluations"),
        (table(start=0.5), "'start' .* must hold whole numbers, but its type is float64"),
        (table(start=pd.array([None] * len(X), dtype="Int64")), f"with {len(X)} missing"),
        (table(start=4), r"`0 <= start <= 3` must hold .*, but row 0 has 4"),
        (table(stitch_1=-1), r"`0 <= stitch_1 <= \d+` must hold .*, but row 0 has -1"),
        (table(accuracy=100 * Y), r"fractions from 0 to 1 in .*, but row 1 has 5.* by 100"),
        (table(accuracy=np.nan), "but row 0 has nan"),
        (table(accuracy="good"), "'accuracy' .* must hold numbers"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, frame: pd.DataFrame, message: str) -> None:
    with pytest.raises(EncodingError, match=message):
        earlier.read(write(frame, tmp_path, "parquet"), SPACE)


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    for name in ("no.csv", "no.parquet"):
        with pytest.raises(EncodingError, match=rf"{name}.*there is no such file"):
            earlier.read(tmp_path / name, SPACE)
    for name in ("torn.csv", "torn.parquet"):
        (tmp_path / name).write_bytes(b"\xff\x00,,\n\xfe")
        with pytest.raises(EncodingError, match=rf"{name}.*cannot be read"):
            earlier.read(tmp_path / name, SPACE)
    (tmp_path / "empty.csv").touch()
    with pytest.raises(EncodingError, match="cannot be read"):
        earlier.read(tmp_path / "empty.csv", SPACE)


def test_another_study_is_read_and_left_as_it_is(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'other.sqlite'}"

    def evaluator(rows: IntArray) -> FloatArray:
        y = value(rows)
        y[0] = np.nan
        return y

    Study(url, "theirs", SPACE).evaluate(X[:8], InProcess(evaluator), NoProgress())
    before = (tmp_path / "other.sqlite").read_bytes()
    rows, y = earlier.read_study(url, "theirs", SPACE)
    assert (tmp_path / "other.sqlite").read_bytes() == before
    np.testing.assert_array_equal(rows, X[1:8])
    np.testing.assert_array_equal(y, value(X[1:8]))

    with pytest.raises(EncodingError, match=r"no study 'their' in sqlite.*mean 'theirs'"):
        earlier.read_study(url, "their", SPACE)
    other = spaces.get("digits-resnet", batch=1, max_stitches=1)
    with pytest.raises(EncodingError, match=r"must be '.*=1\)', but it is '.*=3\)'"):
        earlier.read_study(url, "theirs", other)
    with pytest.raises(EncodingError, match=r"no file .*none\.sqlite"):
        earlier.read_study(f"sqlite:///{tmp_path / 'none.sqlite'}", "a", SPACE)
    assert not (tmp_path / "none.sqlite").exists()
    (tmp_path / "torn.sqlite").write_bytes(b"torn" * 1000)
    with pytest.raises(EncodingError, match="no reading the study 'a'"):
        earlier.read_study(f"sqlite:///{tmp_path / 'torn.sqlite'}", "a", SPACE)
    study = optuna.create_study(storage=url, study_name="foreign")
    study.add_trial(optuna.trial.create_trial(value=0.5))
    with pytest.raises(EncodingError, match="must have an encoding of 4 numbers"):
        earlier.read_study(url, "foreign", SPACE)
