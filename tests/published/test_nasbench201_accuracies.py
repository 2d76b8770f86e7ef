"""Accuracies of NAS-Bench-201 from a user's own file."""

import gzip
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tailorbird.published.sources import originals
from tailorbird.published.tables import TABLES

Tailorbird = Callable[..., tuple[int, str, str]]
TEXTS = [f"|none~0|+|none~0|none~1|+|none~0|none~1|{name}~2|" for name in ("none", "skip_connect")]


def cells(files: Mapping[str, Path]) -> pd.DataFrame:
    facts = {"index": [0, 1], "arch_str": TEXTS, "op_2_3": [0, 1], "lat_ms_a": [1.0, 2.0]}
    return pd.DataFrame(facts)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the table will lie; it needs no originals."""
    monkeypatch.setenv("TAILORBIRD_DATA", str(tmp_path / "data"))
    small = replace(TABLES["nasbench201"], originals=(), convert=cells)
    monkeypatch.setitem(TABLES, "nasbench201", small)
    return tmp_path / "data" / small.file


def test_without_them_the_way_to_add_them_is_told(file: Path, tailorbird: Tailorbird) -> None:
    code, out, err = tailorbird("data", "get", "nasbench201")
    assert code == 0
    assert out == f"nasbench201: 2 rows are in {file}.\n"
    assert "mini-bench-arch-cell-accs.pd), which tailorbird does not read" in err
    assert "tailorbird data get nasbench201 --accuracies FILE.csv" in err
    assert [*pd.read_parquet(file)] == ["index", "arch_str", "op_2_3", "lat_ms_a"]


@pytest.mark.parametrize("is_there", [True, False])
@pytest.mark.parametrize("key", ["arch", "arch_str", "index"])
def test_they_are_added_to_a_table_that_has_none(
    key: str, is_there: bool, file: Path, tailorbird: Tailorbird, monkeypatch: pytest.MonkeyPatch
) -> None:
    if is_there:
        tailorbird("data", "get", "nasbench201")
        whole = TABLES["nasbench201"]  # whose originals are not at that address
        monkeypatch.setitem(TABLES, whole.name, replace(whole, originals=originals(whole.name)))
        monkeypatch.setenv("TAILORBIRD_MIRROR", "http://host.invalid")
    name = "1" if key == "index" else TEXTS[1]
    Path("mine.csv.gz").write_bytes(
        gzip.compress(f"c10_test_12ep,{key},in16_val_12ep\n90.25,{name},1.5\n".encode())
    )
    code, _, err = tailorbird("data", "get", "nasbench201", "--accuracies", "mine.csv.gz")
    assert code == 0
    assert "pickle" not in err
    table = pd.read_parquet(file)
    added = ["c10_test_12ep", "in16_val_12ep"]
    assert [*table] == ["index", "arch_str", "op_2_3", *added, "lat_ms_a"]
    assert (table[added].dtypes == np.float32).all()
    np.testing.assert_array_equal(table[added], [[np.nan, np.nan], [90.25, 1.5]])

    before = file.read_bytes()
    code, _, err = tailorbird("data", "get", "nasbench201", "--accuracies", "mine.csv.gz")
    assert code == 2
    assert "holds accuracies already (c10_test_12ep, in16_val_12ep). Delete it" in err
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("index,c10_test_12ep\n0,90\n0,90\n", "line 3: index '0' stands in line 2, too"),
        ("index,c10_test_12ep\n2,90\n", "line 2: there is no cell with the index '2'"),
        ("arch,c10_test_12ep\n|none~0|,90\n", "line 2: there is no cell with the arch '|none~0|'"),
        ("index,c10_test_12ep\n0,90\n1,nan\n", "line 3: c10_test_12ep must be a plain number"),
        ("index,c10_test_12ep\n0,9_0\n", "per cent, but is '9_0'"),
        ("index,c10_test_12ep\n0,9e1\n", "per cent, but is '9e1'"),
        ("index,c10_test_12ep\n0,0.9\n1,1\n", "line 1: c10_test_12ep must be in per cent, but no"),
        ("index,c10_test_12ep\n15625,90\n", "line 2: index must be a whole number from 0 to 15624"),
        ("index,c10_test_12ep\n-1,90\n", "line 2: index must be a whole number from 0 to 15624"),
        ("index,arch_str,c10_test_12ep\n", "line 1: the columns must be arch or index"),
        ("index,c10_test_12ep\n0,101\n", "per cent, but is '101'"),
        ("index,c10_test_12ep\n0,-1\n", "per cent, but is '-1'"),
        ("index,c10_test_12ep\n0,\n", "per cent, but is ''"),
        ("index,c10_test_12ep\n0\n", "line 2: there are 1 cells, but 2 columns"),
        ("index,arch,c10_test_12ep\n", "line 1: the columns must be arch or index"),
        ("index,c10_test_12ep,c10_test_12ep\n", "name of its own, but two are 'c10_test_12ep'"),
        ("index,accuracy\n0,90\n", "but are index, accuracy"),
        ("index\n0\n", "but are index"),
        ("c10_test_12ep\n0\n", "but are c10_test_12ep"),
        ("", "is empty"),
        ("index,c10_test_12ep\n", "has a header, but no accuracies"),
    ],
)
def test_files_that_do_not_fit_are_refused(
    text: str, message: str, file: Path, tailorbird: Tailorbird
) -> None:
    Path("mine.csv").write_text(text)
    code, out, err = tailorbird("data", "get", "nasbench201", "--accuracies", "mine.csv")
    assert (code, out) == (2, "")
    assert "'mine.csv'" in err
    assert message in err
    assert not file.exists()


@pytest.mark.parametrize("names", [("fbnet",), ("nasbench201", "fbnet")])
def test_other_tables_take_none(names: tuple[str, ...], file: Path, tailorbird: Tailorbird) -> None:
    code, _, err = tailorbird("data", "get", *names, "--accuracies", "mine.csv")
    assert code == 2
    assert "Accuracies can be added to 'nasbench201' alone" in err
    assert not file.parent.exists()


def test_a_torn_table_is_told(file: Path, tailorbird: Tailorbird) -> None:
    file.parent.mkdir()
    file.write_bytes(b"PAR1")
    Path("mine.csv").write_text("index,c10_test_12ep\n0,90\n")
    code, _, err = tailorbird("data", "get", "nasbench201", "--accuracies", "mine.csv")
    assert code == 2
    assert "Delete it, and fetch it anew with `tailorbird data get nasbench201`" in err
