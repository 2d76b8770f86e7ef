"""What can be fetched, and what is said of a table that was not."""

import errno
import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tailorbird import spaces
from tailorbird.errors import PublishedTableError, RecipeError
from tailorbird.pipeline.accuracy_sources.published import PublishedAccuracy
from tailorbird.predictors.accuracy.models import auto
from tailorbird.progress import NoProgress
from tailorbird.published import data_folder, snnet, table_file
from tailorbird.published.rows import published_rows
from tailorbird.published.tables import TABLES
from tailorbird.recipe import AccuracySection
from tailorbird.spaces.stitching import StitchSpace

Tailorbird = Callable[..., tuple[int, str, str]]
ROOT = Path(__file__).parents[2]


def test_every_table_is_listed(
    tmp_path: Path, tailorbird: Tailorbird, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAILORBIRD_DATA", str(tmp_path))
    (tmp_path / "fbnet_help.parquet").write_bytes(b"PAR1")
    (tmp_path / "nasbench_macro.parquet").touch()  # by a disk that was full
    code, out, err = tailorbird("data", "list")
    assert (code, err) == (0, "")
    _, *lines, last = out.splitlines()
    assert last == f"Tables are looked for in {tmp_path}."
    cells = [line.split(maxsplit=5) for line in lines]
    assert [(name, licence, here) for name, licence, _, _, here, _ in cells] == [
        ("snnet", "Apache-2.0", "no"),
        ("nasbench-macro", "Apache-2.0", "no"),
        ("ofa-i7-8700k", "Apache-2.0", "no"),
        ("ofa-accuracies", "Apache-2.0", "no"),
        ("fbnet", "MIT", "yes"),
        ("nasbench201", "MIT", "no"),
    ]
    assert cells[0][2:4] == ["1.92", "MB"]
    code, out, _ = tailorbird("data", "list", "--json")
    listed = {facts["name"]: facts for facts in json.loads(out)}
    assert [*listed] == [*TABLES]
    assert listed["fbnet"]["is_here"]
    assert listed["fbnet"]["licences"] == ["MIT"]
    assert listed["snnet"]["n_bytes"] == 1_917_320
    assert listed["snnet"]["file"] == str(tmp_path / "snnet_stitches.csv.gz")


def test_originals_are_at_fixed_commits_and_none_is_a_pickle_of_pandas() -> None:
    for table in TABLES.values():
        assert table.originals
        for original in table.originals:
            assert (len(original.commit), len(original.sha256)) == (40, 64)
            assert not original.path.endswith(".pd")
    original = TABLES["ofa-i7-8700k"].originals[0]
    assert original.url("https://raw.githubusercontent.com") == (
        "https://raw.githubusercontent.com/mikelzc1990/nsganetv2/"
        f"{original.commit}/data/i7-8700K_lut.yaml"
    )


def test_the_folder_of_the_data_is_the_named_one_or_a_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_folder, "_BESIDE_THE_CHECKOUT", tmp_path / "shared")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TAILORBIRD_DATA", "~/tables")
    assert data_folder.data_folder() == Path.home() / "tables"
    monkeypatch.setenv("TAILORBIRD_DATA", "~nouser/tables")
    with pytest.raises(RecipeError, match="'~nouser/tables' is in the home of a user who is not"):
        data_folder.data_folder()
    monkeypatch.setenv("TAILORBIRD_DATA", "")
    assert data_folder.data_folder() == tmp_path / "cache" / "tailorbird"
    monkeypatch.delenv("TAILORBIRD_DATA")
    assert data_folder.data_folder() == tmp_path / "cache" / "tailorbird"
    (tmp_path / "shared").mkdir()
    assert data_folder.data_folder() == tmp_path / "shared"


@pytest.mark.parametrize("folder", [".", "no/such/folder"])
def test_a_reader_that_misses_a_table_says_how_to_get_it(folder: str, tmp_path: Path) -> None:
    named = {
        "fbnet": "fbnet",
        "nasbench-macro": "macro-mobilenetv2",
        "nasbench201": "nasbench201",
        "ofa-accuracies": "ofa-mobilenetv3",
    }
    missing = "there is no such file" if folder == "." else "there is no such folder"
    for name, space in named.items():
        with pytest.raises(PublishedTableError) as caught:
            published_rows(spaces.get(space), tmp_path / folder)
        check(caught.value, tmp_path / folder / TABLES[name].file, name, missing)
    stitched = spaces.get("deit-ti-s-b")
    assert isinstance(stitched, StitchSpace)
    with pytest.raises(PublishedTableError) as caught:
        snnet.snnet(stitched, tmp_path / folder)
    check(caught.value, tmp_path / folder / TABLES["snnet"].file, "snnet", missing)


def check(error: PublishedTableError, path: Path, name: str, missing: str) -> None:
    assert str(error) == (
        f"The published table {str(path)!r} cannot be read ({missing}). Fetch it with `tailorbird "
        f"data get {name}`, or name the folder that holds it in the environment variable "
        "TAILORBIRD_DATA."
    )


@pytest.mark.parametrize(
    "content",
    [b"", b"\x1f\x8b", gzip.compress(b"a,b\n" * 999, mtime=0)[:-9], b"PAR1"],
    ids=["empty", "begun", "torn", "of another kind"],
)
def test_a_torn_table_is_to_be_fetched_anew(content: bytes, tmp_path: Path) -> None:
    space, stitched = spaces.get("fbnet"), spaces.get("deit-ti-s-b")
    assert isinstance(stitched, StitchSpace)
    for name in ("fbnet", "snnet"):
        (tmp_path / TABLES[name].file).write_bytes(content)
    with pytest.raises(PublishedTableError, match=r"Delete it, and fetch .* data get fbnet"):
        published_rows(space, tmp_path)
    with pytest.raises(PublishedTableError, match=r"Delete it, and fetch .* data get snnet"):
        snnet.snnet(stitched, tmp_path)


HEADER = "source,task,cfg_id,path,front,back,n_blocks,flops,params,score,stitches"
STITCHED = "snnet_deit_ti_s_b,imagenet_top1,0,T,-1,-1,12/0/0,1258411200.0,5717416.0,70.564,"


@pytest.mark.parametrize(
    "text",
    [
        "a,b\n1,2\n",
        f"{HEADER}\n{STITCHED.replace('70.564', 'seventy')}\n",
        f"{HEADER}\n{STITCHED.replace(',T,', ',X,')}\n",
        f'{HEADER}\n{STITCHED}"[[1, 2]"\n',
        f'{HEADER}\n{STITCHED}"[1, 2]"\n',
        f'{HEADER}\n{STITCHED}"[[1, 2], [3, 4]]"\n',
    ],
)
def test_stitched_networks_that_are_none_are_torn(text: str, tmp_path: Path) -> None:
    stitched = spaces.get("deit-ti-s-b")
    assert isinstance(stitched, StitchSpace)
    path = tmp_path / TABLES["snnet"].file
    path.write_bytes(gzip.compress(f"{HEADER}\n{STITCHED}\n".encode()))
    assert snnet.snnet(stitched, tmp_path).accuracy.tolist() == pytest.approx([0.70564])
    path.write_bytes(gzip.compress(text.encode()))
    with pytest.raises(PublishedTableError, match=r"Delete it, and fetch .* data get snnet"):
        snnet.snnet(stitched, tmp_path)


def test_a_flipped_byte_is_told(tmp_path: Path) -> None:
    space = spaces.get("fbnet")
    path = tmp_path / TABLES["fbnet"].file
    rng = np.random.default_rng(0)
    latencies = np.exp(rng.normal(size=999)).astype(np.float32)
    cells = {variable.name: rng.permutation(999) % 9 for variable in space.variables}
    table_file.write(pd.DataFrame({"lat_ms_a": latencies, **cells}), path)
    assert published_rows(space, tmp_path).n_rows.sum() == 999
    content = bytearray(path.read_bytes())
    content[2_000] ^= 1  # of a latency, which compresses badly
    path.write_bytes(content)
    with pytest.raises(PublishedTableError, match=r"Delete it, and fetch .* data get fbnet"):
        published_rows(space, tmp_path)


def test_a_folder_in_place_of_a_table_is_told(tmp_path: Path) -> None:
    space, stitched = spaces.get("fbnet"), spaces.get("deit-ti-s-b")
    assert isinstance(stitched, StitchSpace)
    for name in ("fbnet", "snnet"):
        (tmp_path / TABLES[name].file).mkdir()
    with pytest.raises(PublishedTableError, match=r"\(Is a directory\)\. Move it away, and fetch"):
        published_rows(space, tmp_path)
    with pytest.raises(PublishedTableError, match=r"\(Is a directory\)\. Move it away, and fetch"):
        snnet.snnet(stitched, tmp_path)


def test_what_this_user_may_not_read_is_not_torn() -> None:
    error = PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    told = str(PublishedTableError.of(Path("a.parquet"), "fbnet", error))
    assert "'a.parquet' cannot be read (Permission denied). Let this user read it, or" in told


def test_lists_need_no_http(tmp_path: Path) -> None:
    program = (
        "import sys\nfrom tailorbird.cli import data\ndata.list_()\n"
        "assert not {'pooch', 'requests'} & {*sys.modules}"
    )
    environment = {"TAILORBIRD_DATA": str(tmp_path), "PYTHONPATH": ":".join(sys.path)}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)


def test_cells_without_accuracies_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    space = spaces.get("nasbench201")
    cell = {variable.name: [0] for variable in space.variables}
    pd.DataFrame(cell | {"lat_ms_a": [1.0]}).to_parquet(tmp_path / TABLES["nasbench201"].file)
    monkeypatch.setenv("TAILORBIRD_DATA", str(tmp_path))
    asked = PublishedAccuracy(space, AccuracySection(), 0, auto, False, column="c10_val_12ep")
    with pytest.raises(RecipeError, match=r"tailorbird data get nasbench201 --accuracies FILE"):
        asked.check(NoProgress())


def test_an_import_names_the_table_that_was_not_fetched(
    tmp_path: Path, tailorbird: Tailorbird, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAILORBIRD_DATA", str(tmp_path))
    recipe = str(ROOT / "examples" / "ofa-i7-8700k.toml")
    code, _, err = tailorbird("table", "import", recipe, "ofa-i7-8700k")
    assert code == 2
    assert "tailorbird data get ofa-i7-8700k" in err

    (tmp_path / TABLES["ofa-i7-8700k"].file).write_bytes(gzip.compress(b"key,ms\na,1\n")[:-9])
    code, _, err = tailorbird("table", "import", recipe, "ofa-i7-8700k")
    assert code == 2
    assert "Delete it, and fetch it anew with `tailorbird data get ofa-i7-8700k`" in err

    code, _, err = tailorbird("table", "import", recipe, "snnet")
    assert code == 2
    assert "Of published tables only 'ofa-i7-8700k' can be imported, but not 'snnet'" in err


@pytest.mark.data("ofa_mbv3_lut_i7_8700k.csv.gz")
def test_a_fetched_table_is_imported_by_its_name(tmp_path: Path, tailorbird: Tailorbird) -> None:
    recipe = tmp_path / "ofa.toml"
    recipe.write_text((ROOT / "examples" / "ofa-i7-8700k.toml").read_text())
    code, out, err = tailorbird("table", "import", str(recipe), "ofa-i7-8700k")
    assert code == 0, err
    assert "4050 of 4050 rounds and failures were added." in out


@pytest.mark.data("sources.json")
def test_originals_are_those_of_the_list_that_came_with_the_data() -> None:
    ours = files("tailorbird.published").joinpath("sources.json").read_bytes()
    assert ours == (data_folder.data_folder() / "sources.json").read_bytes()


@pytest.mark.data(
    "originals", "nb201_help_mini.parquet:c10_test_12ep", *(table.file for table in TABLES.values())
)
@pytest.mark.long
def test_made_tables_equal_those_that_were_there(tmp_path: Path) -> None:
    """The benchmark, on data of which one cell was changed: it finds that one and no other."""
    there = data_folder.data_folder()
    for name in ("originals", *(table.file for table in TABLES.values())):
        (tmp_path / name).symlink_to(there / name)
    changed = tmp_path / TABLES["nasbench-macro"].file
    frame = pd.read_parquet(changed)
    frame["acc1"] = frame["acc1"].where(frame.index != 7, 0.0)
    changed.unlink()
    frame.to_parquet(changed)
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "data_get.py", "--json", tmp_path / "cells.json"],
        env={"TAILORBIRD_DATA": str(tmp_path), "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stderr
    results = json.loads((tmp_path / "cells.json").read_text())
    assert {name: result["different"] for name, result in results.items()} == {
        **dict.fromkeys(TABLES, 0),
        "nasbench-macro": 1,
    }
    n_cells = {name: result["cells"] for name, result in results.items()}
    assert n_cells["snnet"] == 4_466
    assert n_cells["nasbench-macro"] == 104_976
    assert n_cells["ofa-i7-8700k"] == 44_550
    assert n_cells["ofa-accuracies"] >= 94_500
    assert n_cells["fbnet"] >= 205_000
    assert n_cells["nasbench201"] >= 515_625
    assert [line for line in done.stdout.splitlines() if line.startswith("MISSED")] == [
        "MISSED nasbench-macro: 1 of 104976 cells differ"
    ]


FRAME = pd.DataFrame({"a": [1, 2, 3], "b": [4.0, 5.0, 6.0], "lat_ms_x": [7.0, 8.0, 9.0]})
MISSES = {
    "cell": (FRAME.assign(b=[4.0, 5.5, 6.0]), "1 of 9 cells differ"),
    "type": (FRAME.assign(b=["4", "5", "6"]), "3 of 9 cells differ"),
    "row less": (FRAME[1:], "1 rows are only there"),
    "row more": (pd.concat([FRAME, FRAME[:1]]), "1 rows are only here"),
    "order": (FRAME[::-1], "2 rows stand in another order"),
    "column less": (FRAME.drop(columns="b"), "1 columns are only there (b)"),
    "latency less": (FRAME.drop(columns="lat_ms_x"), "1 columns are only there (lat_ms_x)"),
}


@pytest.mark.parametrize("name", MISSES)
def test_the_benchmark_misses_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import data_get

    made, message = MISSES[name]
    assert data_get.misses("t", data_get.compared("t", FRAME, FRAME, ["a"], set())) == []
    assert data_get.misses("t", data_get.compared("t", made, FRAME, ["a"], set())) == [
        f"t: {message}"
    ]
    less = data_get.compared("t", FRAME.drop(columns="lat_ms_x"), FRAME, ["a"], {"x"})
    assert data_get.misses("t", less) == []
