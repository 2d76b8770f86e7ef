"""Recipes whose accuracies are published: tables from which nothing can be learned."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tailorbird import spaces

Tailorbird = Callable[..., tuple[int, str, str]]
SPACE = spaces.get("macro-mobilenetv2", batch=1)
RECIPE = """
name = "p"
[space]
name = "macro-mobilenetv2"
[device]
name = "board"
batch = 1
[latency]
runtime = "imported"
[accuracy]
published = "mean_acc"
"""


def table(n: int) -> pd.DataFrame:
    X = np.unique(SPACE.sample(2 * n, np.random.default_rng(0)), axis=0)[:n]
    frame = pd.DataFrame(X, columns=[variable.name for variable in SPACE.variables])
    names = ["".join(map(str, row)) for row in X.tolist()]
    return frame.assign(arch=names, mean_acc=np.linspace(80.0, 90.0, n))


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tailorbird: Tailorbird) -> Path:
    """A data folder, beside a recipe whose latencies are there."""
    monkeypatch.setenv("TAILORBIRD_DATA", str(tmp_path))
    Path("p.toml").write_text(RECIPE)
    rows = [f'"{workload.key}",{1 + i / 10}' for i, workload in enumerate(SPACE.workloads)]
    Path("p.csv").write_text("\n".join(["key,ms", *rows]) + "\n")
    assert tailorbird("table", "import", "p.toml", "p.csv")[0] == 0
    return tmp_path


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (table(3), "at least 5 in a table that differ, but 'mean_acc' has 3 for macro-"),
        (table(50).assign(mean_acc=90.0), "has 50 for macro-mobilenetv2(n_classes=10), all of 90"),
        (table(50).assign(mean_acc=np.linspace(0.8, 0.9, 50)), "must be published in per cent"),
        (table(50).assign(mean_acc=8204.0), "(row 1, mean_acc: must be per cent, 0 to 100, but is"),
        (
            table(50).assign(mean_acc=np.nan),
            "'mean_acc' of 'nasbench_macro.parquet' must have a nu",
        ),
        (table(50).assign(mean_acc="good"), "mean_acc: must be per cent, 0 to 100, but is 'good'"),
        (
            table(50).drop(columns="mean_acc"),
            "There are no accuracies in 'nasbench_macro.parquet'. Delete it",
        ),
        (table(50).drop(columns="l3"), "(the column l3 is missing; did you mean"),
        (table(50).iloc[[*range(50), 7]], "(row 51 is row 8 again"),
        (table(50).iloc[:0], "There is no network in it"),
    ],
)
@pytest.mark.parametrize("command", ["search", "report"])
def test_tables_from_which_nothing_is_learned_are_refused(
    data: Path, tailorbird: Tailorbird, frame: pd.DataFrame, said: str, command: str
) -> None:
    frame.to_parquet(data / "nasbench_macro.parquet", index=False)
    code, out, err = tailorbird(command, "p.toml")
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("train", "published: nothing is trained"),
        ("export", "published, so there are no weights to export"),
        ("finetune", "no weights to finetune: accuracies of this recipe are those of 'mean_acc'"),
    ],
)
def test_what_needs_weights_is_refused_before_data_are_looked_for(
    tmp_path: Path,
    tailorbird: Tailorbird,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    sentence: str,
) -> None:
    monkeypatch.setenv("TAILORBIRD_DATA", str(tmp_path / "empty"))
    Path("p.toml").write_text(RECIPE)
    code, _, err = tailorbird(command, "p.toml")
    assert code == 2
    assert sentence in err
