import gzip
import sqlite3
from pathlib import Path
from typing import Literal

import numpy as np
import optuna
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailorbird import spaces
from tailorbird.errors import EncodingError
from tailorbird.progress import NoProgress
from tailorbird.search.evaluation import optuna_storage, prior_evaluations
from tailorbird.search.evaluation.executors import InProcess
from tailorbird.search.evaluation.study import Study
from tailorbird.spaces import FloatArray, IntArray

SPACE = spaces.get("digits-resnet", batch=1)
X = np.unique(SPACE.sample(20, np.random.default_rng(0)), axis=0)
Y = np.linspace(0, 1, len(X))
ENDINGS = ["csv", "CSV", "csv.gz", "Csv.Gz", "parquet", "PARQUET", "pq"]


def table(**changed: object) -> pd.DataFrame:
    columns = {variable.name: X[:, i] for i, variable in enumerate(SPACE.variables)}
    return pd.DataFrame({"architecture": "any", **columns, "accuracy": Y, **changed})


def write(frame: pd.DataFrame, folder: Path, ending: str) -> Path:
    path = folder / f"earlier.{ending}"
    if "csv" in ending.lower():
        text = frame.to_csv(index=False).encode()
        path.write_bytes(gzip.compress(text) if ending.lower().endswith("gz") else text)
    else:
        frame.to_parquet(path, index=False)
    return path


def value(rows: IntArray) -> FloatArray:
    return np.asarray(rows.sum(axis=1) / 1e3)


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_was_written_is_read_and_never_evaluated(tmp_path: Path, ending: str) -> None:
    path = write(pd.concat([table(), table()]), tmp_path, ending)
    rows, accuracies = prior_evaluations.read(path, SPACE)
    np.testing.assert_array_equal(rows, X)
    np.testing.assert_array_equal(accuracies, Y)

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
    again = Study(f"sqlite:///{tmp_path / 's.sqlite'}", "a", SPACE)
    assert again.add(rows, accuracies, path.name) == len(X) - 2
    assert len(
        optuna.load_study(storage=f"sqlite:///{tmp_path / 's.sqlite'}", study_name="a").trials
    ) == len(X)


def test_what_is_not_asked_for_any_more_is_not_taken_for_an_evaluation(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 's.sqlite'}"
    Study(url, "a", SPACE).add(X, Y, "wrong.csv")
    corrected = Study(url, "a", SPACE)
    corrected.add(X, Y / 2, "right.csv")
    y = corrected.evaluate(X, InProcess(value), NoProgress())
    np.testing.assert_array_equal(y, Y / 2)
    y = Study(url, "a", SPACE).evaluate(X, InProcess(value), NoProgress())
    np.testing.assert_array_equal(y, value(X))


def test_rows_become_canonical(tmp_path: Path) -> None:
    some = np.array([[0, 0, 1, 2], [0, 1, 0, 2]])
    columns = {variable.name: some[:, i] for i, variable in enumerate(SPACE.variables)}
    path = write(pd.DataFrame({**columns, "accuracy": [0.25, 0.25]}), tmp_path, "csv")
    rows, accuracies = prior_evaluations.read(path, SPACE)
    np.testing.assert_array_equal(rows, np.unique(SPACE.repair(some), axis=0))
    assert accuracies.tolist() == [0.25]


def test_two_accuracies_of_one_network_are_refused_with_both_rows(tmp_path: Path) -> None:
    some = np.array([[1, 0, 0, 0], [0, 0, 1, 2], [0, 1, 0, 2]])  # the last two are one network
    columns = {variable.name: some[:, i] for i, variable in enumerate(SPACE.variables)}
    frame = pd.DataFrame({**columns, "accuracy": [0.5, 0.25, 0.26]})
    text = SPACE.describe(SPACE.repair(some)[1])
    for ending, rows in (("csv", "line 3 and line 4"), ("parquet", "row 2 and row 3")):
        with pytest.raises(EncodingError) as caught:
            prior_evaluations.read(write(frame, tmp_path, ending), SPACE)
        assert f"{rows} are both {text}, with 0.25 and 0.26. Keep one" in str(caught.value)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (table().drop(columns="stitch_2"), "'stitch_2' is missing; did you mean 'stitch_"),
        (table().drop(columns="accuracy"), "'accuracy' is missing"),
        (table().head(0), "There are no evaluations"),
        (table(start=0.5), "(row 1|line 2): start must be|Column 'start' .* whole .* is double"),
        (table(start=True), "(row 1|line 2): start must be|Column 'start' .* whole .* is bool"),
        (table(start=pd.array([None] * len(X), dtype="Int64")), "(row 1|line 2): start must be"),
        (table(start=4), r"`0 <= start <= 3` must hold .*, but (row 1|line 2) has 4"),
        (table(stitch_1=-1), r"`0 <= stitch_1 <= \d+` must hold .*, but (row 1|line 2) has -1"),
        (table(stitch_1=10**17), "but (row 1|line 2) has 100000000000000000"),
        (table(accuracy=100 * Y), r"from 0 to 1 in .*, but (row 2|line 3) has 5\.26.* by 100"),
        (table(accuracy=-Y), "but (row 2|line 3) has -0.05"),
        (table(accuracy=np.nan), "(row 1|line 2): accuracy must be a number"),
        (table(accuracy=np.inf), "but (row 1|line 2) has inf"),
        (table(accuracy="good"), "'accuracy' .* must hold numbers|line 2: accuracy must be a numb"),
        (table(accuracy="95 %"), "'accuracy' .* must hold numbers|1, but is '95 %'"),
        (table(accuracy="0,95"), "'accuracy' .* must hold numbers|1, but is '0,95'"),
        (table(accuracy=True), "'accuracy' .* must hold numbers|1, but is 'True'"),
    ],
)
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_what_does_not_fit_is_named(
    tmp_path: Path, ending: str, frame: pd.DataFrame, message: str
) -> None:
    with pytest.raises(EncodingError, match=message):
        prior_evaluations.read(write(frame, tmp_path, ending), SPACE)


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    whole = write(table(), tmp_path, "parquet").read_bytes()
    packed = write(table(), tmp_path, "csv.gz").read_bytes()
    plain = write(table(), tmp_path, "csv").read_text()
    for name, content, message in [
        ("no.csv", None, "No such file"),
        ("no.parquet", None, "No such file"),
        ("torn.csv", b"\xff\x00,,\n\xfe", "is not text in UTF-8"),
        ("torn.parquet", b"PAR1" + b"\xff\x00,,\n\xfe", "is torn, or no Parquet"),
        ("half.parquet", whole[: len(whole) // 2], "is torn, or no Parquet"),
        ("half.csv.gz", packed[: len(packed) // 2], "is torn, or not compressed"),
        ("plain.csv.gz", plain.encode(), "is torn, or not compressed"),
        ("empty.csv", b"", "'accuracy'|'start' is missing"),
        ("empty.parquet", b"", "is none of them"),
        ("wide.csv", plain.encode("utf-16"), "is in UTF-16"),
        ("semicolons.csv", plain.replace(",", ";").encode(), "but these are by semicolons"),
        ("long.csv", plain.replace("\nany,", "\nany,any,").encode(), "line 2: there are 7 cells"),
        ("twice.csv", plain.replace("stitch_2", "stitch_1").encode(), "two are 'stitch_1'"),
        ("some.json", b"{}", "is none of them"),
        ("some.xlsx", b"PK\3\4", "is none of them"),
        ("study.db", b"SQLite format 3\0", r'write "sqlite:///.*#STUDY"'),
    ]:
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(EncodingError, match=message) as caught:
            prior_evaluations.read(path, SPACE)
        assert name in str(caught.value)
    with pytest.raises(EncodingError, match=r"must be a file, but .* is a folder"):
        prior_evaluations.read(tmp_path, SPACE)


@pytest.fixture(scope="module")
def parquet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(table(), tmp_path_factory.mktemp("fuzzed"), "parquet")


@given(st.data())
def test_a_flipped_byte_is_refused_or_read(parquet: Path, data: st.DataObject) -> None:
    content = bytearray(parquet.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    flipped = parquet.with_name("flipped.parquet")
    flipped.write_bytes(content)
    try:
        rows, y = prior_evaluations.read(flipped, SPACE)
    except EncodingError:
        return
    assert rows.shape == (len(y), len(SPACE.variables))
    assert ((y >= 0) & (y <= 1)).all()


def test_another_study_is_read_and_left_as_it_is(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'other.sqlite'}"

    def evaluator(rows: IntArray) -> FloatArray:
        y = value(rows)
        y[0] = np.nan
        return y

    Study(url, "theirs", SPACE).evaluate(X[:8], InProcess(evaluator), NoProgress())
    before = (tmp_path / "other.sqlite").read_bytes()
    rows, y = prior_evaluations.read_study(url, "theirs", SPACE)
    assert (tmp_path / "other.sqlite").read_bytes() == before
    np.testing.assert_array_equal(rows, X[1:8])
    np.testing.assert_array_equal(y, value(X[1:8]))

    with pytest.raises(EncodingError, match=r"no study 'their' in sqlite.*mean 'theirs'"):
        prior_evaluations.read_study(url, "their", SPACE)
    with pytest.raises(EncodingError, match=r"no study '' in sqlite.*known: theirs"):
        prior_evaluations.read_study(url, "", SPACE)
    other = spaces.get("digits-resnet", batch=1, max_stitches=1)
    with pytest.raises(EncodingError, match=r"must be '.*=1\)', but it is '.*=3\)'"):
        prior_evaluations.read_study(url, "theirs", other)


Direction = Literal["minimize", "maximize"]
Trials = list[tuple[list[float], dict[str, object]]]


def study(path: Path, directions: list[Direction], trials: Trials) -> str:
    """The URL of a database in which somebody keeps a study `a`."""
    url = f"sqlite:///{path}"
    database = optuna.storages.RDBStorage(url)
    made = optuna.create_study(storage=database, study_name="a", directions=directions)
    for values, attributes in trials:
        made.add_trial(optuna.trial.create_trial(values=values, user_attrs=attributes))
    database.engine.dispose()
    return url


def good(**changed: object) -> Trials:
    trials: Trials = [([0.5 + i / 100], {"encoding": row}) for i, row in enumerate(X[:5].tolist())]
    return [*trials, ([0.75], {"encoding": X[5].tolist(), **changed})]


def test_a_study_whose_direction_and_range_fit_is_taken(tmp_path: Path) -> None:
    trials = [*good(), ([1.0], {}), ([0.75], {"encoding": X[5].tolist()})]
    rows, y = prior_evaluations.read_study(
        study(tmp_path / "s.db", ["maximize"], trials), "a", SPACE
    )
    np.testing.assert_array_equal(rows, X[:6])
    assert y.tolist() == [0.5, 0.51, 0.52, 0.53, 0.54, 0.75]


@pytest.mark.parametrize(
    ("directions", "trials", "message"),
    [
        (["minimize"], good(), "one value that is maximised, but the directions .* are: minimize"),
        (["minimize"], [], "directions .* are: minimize"),
        (["maximize", "minimize"], [([0.5, 1.0], {})], "are: maximize, minimize"),
        (["maximize", "maximize"], [([0.5, 1.0], {})], "are: maximize, maximize"),
        (["maximize"], [], "must have an encoding of 4 numbers .*, but there are 0"),
        (["maximize"], [([0.5], {})], "must have an encoding of 4 numbers"),
        (["maximize"], good(encoding=[0, 0]), r"there are 6, of lengths \[2, 4\]"),
        (["maximize"], good(encoding=[0, 1.5, 0, 0]), "Trial 5 of .* encoding.1 is 1.5"),
        (["maximize"], good(encoding=[0, True, 0, 0]), "Trial 5 of .* encoding.1 is True"),
        (["maximize"], good(encoding=[0, 10**30, 0, 0]), "Trial 5 of .* encoding.1 is 1000000"),
        (["maximize"], good(encoding="0000"), "Trial 5 of .* encoding is '0000'"),
        (["maximize"], good(encoding=None), "Trial 5 of .* encoding is None"),
        (["maximize"], good(encoding=[9, 0, 0, 0]), "`0 <= start <= 3` .* but trial 5 has 9"),
        (["maximize"], good(encoding=X[0].tolist()), "trial 0 and trial 5 are both .* 0.5 and 0.7"),
        (["maximize"], [([95.0], {"encoding": X[0].tolist()})], "but trial 0 has 95.0. Divide"),
        (["maximize"], [([np.inf], {"encoding": X[0].tolist()})], "but trial 0 has inf"),
    ],
)
def test_a_study_that_does_not_hold_accuracies_is_refused(
    tmp_path: Path, directions: list[Direction], trials: Trials, message: str
) -> None:
    url = study(tmp_path / "s.db", directions, trials)
    with pytest.raises(EncodingError, match=message):
        prior_evaluations.read_study(url, "a", SPACE)


def refused(url: str, message: str) -> None:
    """A refusal that leaves the database as it was."""
    path = Path(url.removeprefix("sqlite:///"))
    before = path.read_bytes()
    with pytest.raises(EncodingError, match=message) as caught:
        prior_evaluations.read_study(url, "a", SPACE)
    assert str(caught.value).isprintable()
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        (
            "UPDATE alembic_version SET version_num='v1.3.0.a';"
            "UPDATE version_info SET library_version='1.5.0'",
            "does not read the study 'a' .* which Optuna 1.5.0 wrote. .*storage upgrade",
        ),
        (
            "UPDATE alembic_version SET version_num='v99.0.0.a';"
            "UPDATE version_info SET schema_version=99, library_version='9.9.9'",
            "does not read the study 'a' .* which Optuna 9.9.9 wrote",
        ),
        ("UPDATE studies SET study_name='b'", "no study 'a' .*; known: b"),
        ("DELETE FROM studies", "no study 'a' in .*; there is none at all"),
        ("DELETE FROM version_info", "no telling which Optuna wrote the study 'a'"),
        ("DELETE FROM study_directions", "directions .* are: none"),
        ("DROP TABLE trial_values", "There are no studies of Optuna where the study 'a'"),
        ("UPDATE trial_user_attributes SET value_json='[1,'", "no reading the study 'a'"),
        ("UPDATE trials SET state='FOO'", "no reading the study 'a'"),
        ("UPDATE trial_values SET value='abc'", "Trial 0 of .* its value is 'abc'"),
    ],
)
def test_a_database_that_is_none_of_this_optuna_is_refused(
    tmp_path: Path, statement: str, message: str
) -> None:
    url = study(tmp_path / "s.db", ["maximize"], good())
    connection = sqlite3.connect(tmp_path / "s.db")
    connection.executescript(statement)
    connection.close()
    refused(url, message)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    url = study(path, ["maximize"], good())
    whole = path.read_bytes()
    for content, message in (
        (b"torn" * 1000, "no reading the study 'a' .*not a database"),
        (whole[:9000], "no reading the study 'a'"),
        (b"", "There are no studies of Optuna"),
    ):
        path.write_bytes(content)
        refused(url, message)
    path.unlink()
    with pytest.raises(EncodingError, match="There is no file"):
        prior_evaluations.read_study(url, "a", SPACE)
    assert not path.exists()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("sqlite://", "There is no file ''"),
        ("sqlite:///:memory:", "There is no file ':memory:'"),
        (f"sqlite:///{'s' * 300}", "There is no file 's+"),
        ("sqlite:///.", "There is no file '.'"),
        ("sqlite:///s.db?mode=ro", r"without options, .* but got \{'mode': 'ro'\}. Leave out"),
        ("a b://c", "is no URL of a database"),
        ("://", "is no URL of a database"),
        ("postgresql://a:b@c:port/d", "is no URL of a database"),
        ("mysql://a:secret@b/c", "from SQLite and PostgreSQL, but .* names 'mysql'"),
        ("redis://localhost", "names 'redis'"),
        ("http://localhost/results.csv", "names 'http'"),
    ],
)
def test_what_is_no_url_of_a_database_is_named(url: str, message: str) -> None:
    with pytest.raises(EncodingError, match=message) as caught:
        prior_evaluations.read_study(url, "a", SPACE)
    assert "secret" not in str(caught.value)


def test_a_locked_database_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optuna_storage, "PATIENCE_S", 0.1)
    url = study(tmp_path / "s.db", ["maximize"], good())
    other = sqlite3.connect(tmp_path / "s.db")
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(EncodingError, match=r"database is locked.*wait for that, then run again"):
        prior_evaluations.read_study(url, "a", SPACE)
    other.rollback()
    other.close()
    assert len(prior_evaluations.read_study(url, "a", SPACE)[0]) == 6
