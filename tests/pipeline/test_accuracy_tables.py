"""Recipes whose accuracies stand in a table of the user's own."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from own_code import Perceptrons

from tailorbird import spaces
from tailorbird.errors import RecipeError, TailorbirdError
from tailorbird.pipeline.opening import open_recipe
from tailorbird.pipeline.run import Run
from tailorbird.progress import NoProgress
from tailorbird.spaces import FloatArray, IntArray

Tailorbird = Callable[..., tuple[int, str, str]]

RECIPE = """
name = "known"
[space]
{space}
[device]
name = "a board"
[latency]
runtime = "imported"
[accuracy]
table = "{table}"
{accuracy}
[search]
{search}
[report]
networks = 3
random_networks = 3
"""
OWN = 'module = "own_code:Perceptrons"'
SPACE = Perceptrons()
X = np.concatenate(list(SPACE.enumerate()))
Y = np.linspace(0.2, 0.9, len(X))
TEXTS = [SPACE.describe(row) for row in X]


def write(
    table: str = "t.csv",
    space: str = OWN,
    accuracy: str = 'predictor = "ridge"',
    search: str = "population = 8\ngenerations = 4",
) -> Path:
    path = Path("known.toml")
    text = RECIPE.format(space=space, table=table, accuracy=accuracy, search=search)
    path.write_text(text)
    return path


def opened(table: str = "t.csv", space: str = OWN) -> Run:
    return open_recipe(write(table, space), NoProgress())


def encoded(rows: IntArray = X, y: FloatArray = Y) -> pd.DataFrame:
    columns = {variable.name: rows[:, i] for i, variable in enumerate(SPACE.variables)}
    return pd.DataFrame({**columns, "accuracy": y})


def described() -> pd.DataFrame:
    return pd.DataFrame({"architecture": TEXTS, "flops": 1, "accuracy": Y})


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())


def save(frame: pd.DataFrame, name: str) -> str:
    if "csv" in name:
        frame.to_csv(name, index=False)
    else:
        frame.to_parquet(name, index=False)
    return name


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.parquet"])
@pytest.mark.parametrize("frame", [encoded(), described()], ids=["encoded", "described"])
def test_accuracies_are_read_by_encoding_or_text(frame: pd.DataFrame, name: str) -> None:
    source = opened(save(frame.sample(frac=1, random_state=0), name)).accuracy
    np.testing.assert_array_equal(source.validation(X, NoProgress()), Y)
    np.testing.assert_array_equal(source.test(X, NoProgress()), Y)
    half = opened(save(frame[::2], name)).accuracy
    assert np.isnan(half.validation(X, NoProgress())).sum() == len(X) // 2


def test_texts_of_categories_and_with_spaces_around_are_texts() -> None:
    frame = described()
    frame["architecture"] = pd.Categorical([f" {text} " for text in TEXTS])
    for name in ("t.csv", "t.parquet"):
        y = opened(save(frame, name)).accuracy.validation(X, NoProgress())
        np.testing.assert_array_equal(y, Y)


def test_a_text_of_nasbench201_need_not_be_canonical() -> None:
    space = spaces.get("nasbench201")
    # Node 2 leads nowhere, so that what enters it is dead.
    live = "|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|avg_pool_3x3~1|none~2|"
    dead = live.replace("|none~0|none~1|", "|nor_conv_1x1~0|none~1|")
    others = [space.describe(row) for row in space.sample(20, np.random.default_rng(0))]
    rows = pd.DataFrame(
        {
            "architecture": [live, dead, live, *dict.fromkeys(others)],
            "accuracy": [0.25, 0.75, 0.25, *np.linspace(0.5, 0.9, len(dict.fromkeys(others)))],
        }
    )
    save(rows, "t.csv")
    source = opened(space='name = "nasbench201"').accuracy
    row = space.row_of(live)  # type: ignore[attr-defined]
    y = source.validation(space.repair(row[None]), NoProgress())
    assert y.tolist() == [0.5]  # the mean of both encodings, one of which is there twice
    rows.loc[2, "accuracy"] = 0.5
    save(rows, "t.csv")
    with pytest.raises(RecipeError, match=r"line 2 and line 4 are both .* 0\.25 and 0\.5"):
        opened(space='name = "nasbench201"')


@pytest.mark.parametrize(
    "text",
    [
        "|nor_conv_3x3~0|",
        "|nor_conv_7x7~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|",
        "|nor_conv_3x3~1|+|none~0|none~1|+|skip_connect~0|none~1|none~2|",
        "none~0 none~0 none~1 none~0 none~1 none~2",
        "",
    ],
)
def test_what_is_no_text_of_nasbench201_is_none(text: str) -> None:
    space = spaces.get("nasbench201")
    assert space.row_of(text) is None  # type: ignore[attr-defined]


WRONG = {
    "a row outside": (
        encoded(np.vstack([X[:-1], [[3, 0, 0, 0]]])),
        r"\[accuracy\] table: `0 <= depth <= 2` must hold in 't.csv', but line 40 has 3",
    ),
    "a text outside": (
        described().replace(TEXTS[7], "6-5"),
        r"line 9.*architecture must describe a network of perceptrons, as '6-4' does, but is '6-5'",
    ),
    "disagreement": (
        pd.concat([encoded(), encoded()[:1].assign(accuracy=0.5)]),
        r"line 2 and line 41 are both 6-4, with 0\.2 and 0\.5",
    ),
    "disagreement of texts": (
        pd.concat([described(), described()[:1].assign(accuracy=0.5)]),
        r"line 2 and line 41 are both 6-4, with 0\.2 and 0\.5",
    ),
    "another space": (
        encoded().rename(columns={"depth": "op_0_1", "width_0": "op_0_2"}),
        r"must have a column for each variable of 'perceptrons', or 'architecture' .* 'depth' is",
    ),
    "per cents": (encoded(y=100 * Y), r"but line 2 has 20\.0\. Divide per cents by 100"),
    "NaN": (encoded().assign(accuracy=np.nan), "line 2: accuracy must be a number from 0 to 1"),
    "no accuracy": (encoded().drop(columns="accuracy"), "'accuracy' is missing"),
    "no rows": (encoded()[:0], "There are no evaluations in 't.csv'"),
    "few rows": (encoded()[:4], r"at least 5 in a table that differ, but 't.csv' has 4"),
    "equal rows": (encoded().assign(accuracy=0.5), r"has 39 for perceptrons, all of 50\.00%"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_does_not_fit_is_named(wrong: str) -> None:
    frame, message = WRONG[wrong]
    save(frame, "t.csv")
    with pytest.raises(TailorbirdError, match=message):
        opened()


def test_a_file_that_is_none_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"\[accuracy\] table: .*No such file"):
        opened("nowhere.csv")
    Path("empty.csv").write_text("")
    with pytest.raises(RecipeError, match=r"\[accuracy\] table: "):
        opened("empty.csv")
    Path("folder.csv").mkdir()
    with pytest.raises(RecipeError, match=r"\[accuracy\] table: "):
        opened("folder.csv")
    Path("text.parquet").write_text("depth")
    with pytest.raises(RecipeError, match=r"\[accuracy\] table: "):
        opened("text.parquet")


def test_texts_of_large_spaces_are_not_looked_for() -> None:
    save(described(), "t.csv")
    with pytest.raises(RecipeError, match=r"up to 1,000,000, but fbnet.* has .* Give a column for"):
        opened(space='name = "fbnet"')


@pytest.mark.parametrize(
    ("accuracy", "search", "message"),
    [
        ("", 'algorithm = "guided"', "guided"),
        ("train_epochs = 1", "", "with .accuracy. table nothing is trained: drop train_epochs"),
        ("evaluations = 20", "", "drop evaluations"),
        ('earlier = "t.csv"', "", "drop earlier"),
        ("workers = 2", "", "drop workers"),
        ('data = "digits"', "", "one of data and table, not both"),
        ('published = "top1"', "", "one of published and table, not both"),
    ],
)
def test_what_does_not_go_with_a_table_is_refused_when_it_is_opened(
    accuracy: str, search: str, message: str
) -> None:
    save(encoded(), "t.csv")
    with pytest.raises(RecipeError, match=message):
        open_recipe(write(accuracy=accuracy, search=search))


def latencies(name: str) -> None:
    lines = [f'"{workload.key}",{1 + i}' for i, workload in enumerate(SPACE.workloads)]
    Path(name).write_text("\n".join(["key,ms", *lines]))


def test_a_run_of_two_tables_measures_and_trains_nothing(tailorbird: Tailorbird) -> None:
    save(described(), "t.csv")
    latencies("ms.csv")
    write(accuracy='n_images = 1000\npredictor = "ridge"', search='algorithm = "exact"')
    assert tailorbird("table", "import", "known.toml", "ms.csv")[0] == 0
    code, out, err = tailorbird("search", "known.toml", "--json")
    assert code == 0, err
    front = {row["architecture"]: row["accuracy"] for row in json.loads(out)}
    known = dict(zip(TEXTS, Y, strict=True))
    assert front == {text: pytest.approx(known[text]) for text in front}
    counts = SPACE.count_workloads(X).toarray()
    ms = counts @ (1 + np.arange(len(SPACE.workloads)))
    best = max(zip(Y, -ms, TEXTS, strict=True))
    assert best[2] in front
    code, _, err = tailorbird("train", "known.toml")
    assert code == 2
    assert "nothing is trained" in err


@pytest.mark.long
def test_a_run_of_two_tables_reports(tailorbird: Tailorbird) -> None:
    save(encoded(), "t.csv")
    latencies("ms.csv")
    write()
    assert tailorbird("table", "import", "known.toml", "ms.csv")[0] == 0
    code, _, err = tailorbird("run", "known.toml")
    assert code == 0, err
    assert "Accuracy as t.csv has it" in Path("runs/known/report.html").read_text()
    front = pd.read_parquet("runs/known/front.parquet")
    known = dict(zip(TEXTS, Y, strict=True))
    assert (front["accuracy_test"] == front["architecture"].map(known)).all()
    code, _, err = tailorbird("export", "known.toml", "--architecture", "6-4")
    assert code == 0, err
