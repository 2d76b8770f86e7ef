"""Commands on tables, and runs with the table of another device, through the command line."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_recipe import small

from tailorbird import spaces
from tailorbird.latency_tables import Samples, shipped
from tailorbird.latency_tables.formats import files
from tailorbird.latency_tables.tables.record import Record
from tailorbird.pipeline.database import RunDatabase
from tailorbird.pipeline.opening import open_recipe
from tailorbird.pipeline.reporting import Reporter
from tailorbird.published import ofa_latencies
from tailorbird.published import ofa_latency_table as published
from tailorbird.spaces import CALL
from tailorbird.spaces.footprint import Footprint

Tailorbird = Callable[..., tuple[int, str, str]]


def write_recipe(name: str, device: str = "local") -> None:
    Path(f"{name}.toml").write_text(small(name, device=device))


def measure(name: str, factor: float = 1.0, without: int = 0) -> Record:
    """Fills the table of a recipe with times that are made up."""
    write_recipe(name)
    run = open_recipe(Path(f"{name}.toml"))
    with run.held():
        store = RunDatabase(None, run.folder).store()
        session = store.begin({"kernel": "6"})
        workloads = (*run.space.workloads, CALL)
        for i, workload in enumerate(workloads[: len(workloads) - without]):
            ms = 1e-4 if workload is CALL else factor * (1.0 + i)
            for number in range(2):
                samples = Samples(np.full(5, ms), np.full(2, ms))
                store.add(
                    workload.key, run.latency.configuration(), session, number, samples, 1.0, {}
                )
            store.keep_footprint(workload.key, Footprint(1, 2, 3, 4))
    return run.latency.record()


@pytest.mark.parametrize("suffix", ["parquet", "csv", "json"])
def test_a_table_travels_from_one_recipe_to_another(tailorbird: Tailorbird, suffix: str) -> None:
    measure("a")
    assert tailorbird("table", "export", "a.toml", f"t.{suffix}", "--device", "epyc")[0] == 0
    write_recipe("b")
    for added in (32, 0):
        code, out, err = tailorbird("table", "import", "b.toml", f"t.{suffix}")
        assert code == 0, err
        assert f"{added} of 32 rounds and failures were added" in out
    shown = [
        json.loads(tailorbird("table", "show", source, "--json")[1])
        for source in ("a.toml", "b.toml", f"t.{suffix}")
    ]
    assert shown[0] == shown[1]
    assert shown[2]["device"] == "epyc"
    assert shown[2]["rows"] == shown[0]["rows"]
    assert len(shown[0]["rows"]) == 16
    code, out, _ = tailorbird("table", "diff", "a.toml", f"t.{suffix}", "--json")
    assert code == 0
    assert json.loads(out)["geometric_mean"] == 1.0
    assert "16 rows, 100% of them to be trusted" in tailorbird("table", "show", "b.toml")[1]


def test_two_tables_are_compared(tailorbird: Tailorbird) -> None:
    measure("a")
    measure("b", factor=2.0, without=3)
    code, out, _ = tailorbird("table", "diff", "a.toml", "b.toml")
    assert code == 0
    assert "geometric mean of 13: 2.000, Kendall's tau 1.000" in out
    assert out.count("(not on the right)") == 3


def test_a_table_of_another_configuration_is_refused_with_what_differs(
    tailorbird: Tailorbird,
) -> None:
    measure("a")
    tailorbird("table", "export", "a.toml", "t.csv")
    write_recipe("b")
    recipe = Path("b.toml").read_text().replace("batch = 4", "batch = 8")
    Path("b.toml").write_text(recipe)
    code, _, err = tailorbird("table", "import", "b.toml", "t.csv")
    assert code == 2
    assert "(theirs / ours: batch: 4 / 8)" in err
    assert err.count("\n") == 1
    assert not Path("runs/b").exists()


def test_there_must_be_something_to_export(tailorbird: Tailorbird) -> None:
    write_recipe("a")
    for arguments in (("export", "a.toml", "t.csv"), ("show", "a.toml"), ("show", "t.csv")):
        code, _, err = tailorbird("table", *arguments)
        assert code == 2
        assert "tailorbird profile a.toml" in err or "cannot be read" in err
    assert not Path("runs").exists()


def test_a_store_of_its_own_is_shown_before_anything_was_run_here(tailorbird: Tailorbird) -> None:
    measure("a")
    write_recipe("b")
    text = Path("b.toml").read_text()
    Path("b.toml").write_text(text.replace("[latency]", '[latency]\nstore = "runs/a/store.sqlite"'))
    code, out, err = tailorbird("table", "show", "b.toml")
    assert code == 0, err
    assert "16 rows" in out


def test_a_run_without_a_table_yet_has_no_rows(tailorbird: Tailorbird) -> None:
    write_recipe("a")
    code, _, err = tailorbird("table", "show", "a.toml")
    assert code == 2
    assert "Make it with `tailorbird profile a.toml`" in err
    Path("runs/a").mkdir(parents=True)  # as training alone leaves it
    code, out, err = tailorbird("devices", "a.toml", "--json")
    assert code == 0, err
    assert json.loads(out)[1]["n_rows"] == 0
    assert not Path("runs/a/store.sqlite").exists()
    code, out, err = tailorbird("table", "show", "a.toml", "--json")
    assert code == 0, err
    assert json.loads(out)["rows"] == []


@pytest.mark.long
def test_a_run_with_a_table_of_another_device_measures_nothing(tailorbird: Tailorbird) -> None:
    measure("a")
    tailorbird("table", "export", "a.toml", "board.parquet", "--device", "board")
    write_recipe("b", "board.parquet")
    code, out, err = tailorbird("run", "b.toml", "--json")
    assert code == 0, err
    summary = json.loads(out)
    assert (summary["n_timed"], summary["n_failed"]) == (0, 0)
    assert summary["kendall_tau"] is None
    front = pd.read_parquet("runs/b/front.parquet")
    assert front["latency_ms_measured"].isna().all()
    assert (front["latency_ms_predicted"] > 1).all()
    assert front["accuracy_test"].between(0, 1).all()
    html = Path("runs/b/report.html").read_text()
    assert "No network was timed here" in html
    assert "no network was timed whole" in html
    assert "measured, ms" not in html
    assert "nan" not in html.split("<h2>Networks</h2>")[1].split("</table>")[0]
    assert not Path("runs/b/compiled").exists()

    code, out, _ = tailorbird("search", "b.toml", "--json")
    assert code == 0
    assert len(json.loads(out)) >= 1
    for arguments in (("profile", "b.toml"), ("table", "import", "b.toml", "board.parquet")):
        code, _, err = tailorbird(*arguments)
        assert code == 2
        assert "nothing is measured for it here" in err


def test_a_table_of_another_device_that_does_not_fit_is_refused(tailorbird: Tailorbird) -> None:
    measure("a", without=2)
    tailorbird("table", "export", "a.toml", "board.csv")
    write_recipe("b", "board.csv")
    code, _, err = tailorbird("search", "b.toml")
    assert code == 2
    assert "2 of 16 workloads of digits-resnet" in err
    assert "not in the table of 'board.csv', which is of digits-resnet" in err
    recipe = Path("b.toml").read_text().replace("batch = 4", "batch = 8")
    Path("b.toml").write_text(recipe)
    code, _, err = tailorbird("search", "b.toml")
    assert code == 2
    assert "(table / recipe: batch: 4 / 8)" in err


def test_devices_lists_this_machine_and_what_is_shipped(
    tailorbird: Tailorbird, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    monkeypatch.setattr(shipped, "folder", lambda: data)
    files.write(measure("a"), data / "epyc.digits-resnet.tvm.parquet")
    code, out, err = tailorbird("devices", "--json")
    assert code == 0, err
    local, epyc = json.loads(out)
    assert local["name"] == "local"
    assert (epyc["name"], epyc["space"], epyc["n_rows"]) == ("epyc", "digits-resnet", 16)
    assert "share_trusted" in tailorbird("devices")[1]
    write_recipe("b", "epyc")
    code, out, err = tailorbird("table", "show", "b.toml")
    assert code == 0, err
    assert "16 rows" in out


def write_imported(name: str, device: str = "my board") -> None:
    """A recipe whose table others measured."""
    write_recipe(name, device)
    recipe = Path(f"{name}.toml")
    recipe.write_text(recipe.read_text().replace("rounds = 2", 'runtime = "imported"'))


def write_plain(path: str, without: int = 0, factor: float = 1.0) -> None:
    """Latencies of the workloads of digits-resnet, made up; every third has a spread."""
    workloads = spaces.get("digits-resnet", batch=4, max_stitches=1).workloads
    lines = ["key,ms,std_ms"]
    for i, workload in enumerate(workloads[: len(workloads) - without]):
        lines.append(f'"{workload.key}",{factor * (1 + i)},{"" if i % 3 else 0.01}')
    Path(path).write_text("\n".join(lines) + "\n")


@pytest.mark.long
def test_a_table_of_ones_own_is_imported_and_searched_with(tailorbird: Tailorbird) -> None:
    write_imported("a")
    for command in (("table", "show", "a.toml"), ("search", "a.toml"), ("run", "a.toml")):
        code, _, err = tailorbird(*command)
        assert code == 2
        assert "no table of 'my board' yet. Import it with `tailorbird table import" in err
    write_plain("some.csv", without=2)
    code, out, err = tailorbird("table", "import", "a.toml", "some.csv")
    assert code == 0, err
    assert "13 of 13 rounds and failures were added.\nThe table holds 13 of 15 workloads" in out
    code, _, err = tailorbird("search", "a.toml")
    assert code == 2
    assert "2 of 15 workloads of digits-resnet" in err
    assert "'my board' (first: " in err
    write_plain("all.csv")
    for added in (2, 0):
        code, out, _ = tailorbird("table", "import", "a.toml", "all.csv")
        assert code == 0
        assert f"{added} of 15 rounds and failures were added.\nThe table holds 15 of 15" in out

    code, out, _ = tailorbird("table", "show", "a.toml")
    assert code == 0
    assert out.count("imported: spread unknown") == 10
    assert "15 rows, 33% of them to be trusted" in out
    shown = json.loads(tailorbird("table", "show", "a.toml", "--json")[1])
    assert shown["configuration"]["cpu"] == "my board"
    assert shown["provenance"]["file"] == "all.csv"
    assert {row["std_ms"] for row in shown["rows"]} == {None, 0.01}

    space, latency = (
        open_recipe(Path("a.toml")).space,
        open_recipe(Path("a.toml")).latency.predictor(),
    )
    X = space.landmarks
    np.testing.assert_allclose(latency.mean(X), space.count_workloads(X) @ np.arange(1.0, 16))
    code, _, err = tailorbird("profile", "a.toml")
    assert code == 2
    assert "nothing is measured for it here" in err

    code, out, err = tailorbird("run", "a.toml", "--json")
    assert code == 0, err
    assert json.loads(out)["n_timed"] == 0
    front = pd.read_parquet("runs/a/front.parquet")
    assert front["latency_ms_measured"].isna().all()
    assert (front["latency_ms_predicted"] > 1).all()
    html = Path("runs/a/report.html").read_text()
    for said in (
        "No network was timed here",
        "imported from all.csv and some.csv",
        "10 of 15 rows of that table state no spread",
        "no row for the empty program",
    ):
        assert said in html
    assert not Path("runs/a/compiled").exists()


def test_an_imported_table_travels_as_others_do(tailorbird: Tailorbird) -> None:
    write_imported("a")
    write_plain("t.csv")
    assert tailorbird("table", "import", "a.toml", "t.csv")[0] == 0
    assert tailorbird("table", "export", "a.toml", "out.csv")[0] == 0
    write_imported("b")
    code, out, err = tailorbird("table", "import", "b.toml", "out.csv")
    assert code == 0, err
    assert "15 of 15 rounds and failures were added." in out
    assert "0 of 15 rounds" in tailorbird("table", "import", "b.toml", "t.csv")[1]
    assert json.loads(tailorbird("table", "diff", "a.toml", "b.toml", "--json")[1])["ratios"]
    write_imported("c", "out.csv")  # without a store
    run = open_recipe(Path("c.toml"))
    assert len(run.latency.table().entries) == 15
    assert (run.latency.predictor().mean(run.space.landmarks) > 1).all()


def test_what_others_measured_is_not_mixed_with_what_was_measured(tailorbird: Tailorbird) -> None:
    write_plain("t.csv")
    measure("a")
    tailorbird("table", "export", "a.toml", "exported.csv")
    code, _, err = tailorbird("table", "import", "a.toml", "t.csv")
    assert code == 2
    assert 'write [latency] runtime = "imported", and in [device] name' in err
    write_imported("b")
    code, _, err = tailorbird("table", "import", "b.toml", "exported.csv")
    assert code == 2
    assert "was not measured as this recipe measures" in err
    write_imported("c", "local")
    code, _, err = tailorbird("table", "import", "c.toml", "t.csv")
    assert code == 2
    assert "[device] name must say of which device the table is" in err
    assert not Path("runs/b").exists()
    assert not Path("runs/c").exists()


def test_keys_that_a_space_needs_are_listed_and_others_are_told(tailorbird: Tailorbird) -> None:
    write_imported("a")
    keys = [one.key for one in spaces.get("digits-resnet", batch=4, max_stitches=1).workloads]
    code, out, err = tailorbird("table", "keys", "a.toml")
    assert (code, out.splitlines()) == (0, keys)
    assert "15 workloads of digits-resnet" in err
    assert "of which the table holds 0. A table may also hold call()[1]f32" in err
    assert not Path("runs").exists()

    write_plain("t.csv")
    plain = Path("t.csv").read_text()
    Path("none.csv").write_text(plain.replace("f32", "f16"))
    code, out, err = tailorbird("table", "import", "a.toml", "none.csv")
    assert (code, out) == (2, "")
    assert "None of 15 rows is of a workload of digits-resnet" in err
    assert "`tailorbird table keys a.toml` lists" in err
    assert not Path("runs").exists()

    Path("typo.csv").write_text(plain.replace("residual_block", "resblock"))
    code, out, err = tailorbird("table", "import", "a.toml", "typo.csv")
    assert code == 0, err
    assert "holds 11 of 15 workloads" in out
    assert "4 of 15 rows are of no workload of" in out
    assert "'resblock(width=4)[4x4x8x8]f32' in line 6; the nearest is 'residual_block(" in out
    assert "of which the table holds 11." in tailorbird("table", "keys", "a.toml")[2]


def test_a_pipe_in_the_place_of_a_published_table_is_not_waited_for(
    tailorbird: Tailorbird, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_recipe("mine")
    os.mkfifo(tmp_path / published.FILE)
    monkeypatch.setenv("TAILORBIRD_DATA", str(tmp_path))
    code, _, err = tailorbird("table", "import", "mine.toml", published.NAME)
    assert code == 2
    assert "is a pipe, a socket or a device" in err


def test_a_bad_file_leaves_the_table_as_it_was(tailorbird: Tailorbird) -> None:
    write_imported("a")
    write_plain("t.csv")
    tailorbird("table", "import", "a.toml", "t.csv")
    before = tailorbird("table", "show", "a.toml", "--json")[1]
    write_plain("changed.csv", factor=2.0)
    Path("torn.csv").write_text("key,ms\nnew,1\nnewer,soon\n")
    Path("other.csv").write_text("name,seconds\na,1\n")
    Path("empty.csv").touch()
    header = ",".join(ofa_latencies.COLUMNS)
    cells = "c,0.03,0,classifier,1280,1000,,,,,"
    Path("ofa.csv").write_text(f"{header}\n{cells}\n")
    said = {
        "changed.csv": "has 1.0 ± 0.01 ms in the store, 2.0 ± 0.01 ms in the file",
        "torn.csv": "line 3: ms must be a number, but is 'soon'",
        "other.csv": "line 1: the columns must be key, ms and perhaps std_ms",
        "empty.csv": "is empty",
        "ofa.csv": "are of batches of 1, but this recipe asks for [device] batch = 4",
        "no.csv": "cannot be read: No such file",
        "no.csv.gz": "cannot be read: No such file",
        "t.txt": "must end in .parquet, .csv, .json",
    }
    for name, message in said.items():
        code, _, err = tailorbird("table", "import", "a.toml", name)
        assert code == 2
        assert message in err
        assert err.count("\n") == 1
        assert tailorbird("table", "show", "a.toml", "--json")[1] == before


@pytest.mark.parametrize("written", ["hunter2", "h\\u0075nter2"])
def test_a_password_stays_out_of_copies_of_the_recipe(tailorbird: Tailorbird, written: str) -> None:
    write_recipe("a")
    url = f"postgresql://me:{written}@127.0.0.1:1/x"
    recipe = Path("a.toml")
    recipe.write_text(recipe.read_text().replace("rounds = 2", f'store = "{url}"'))
    run = open_recipe(recipe)
    assert run.recipe.latency.store is not None
    assert "hunter2" in run.recipe.latency.store
    text = Reporter(run.recipe, run.recipe_text, run.space, run.latency, run.accuracy)._safe_text()
    assert "nter2" not in text
    assert "postgresql://me:***@127.0.0.1:1/x" in text
    code, _, err = tailorbird("profile", "a.toml")
    assert code == 2
    assert "hunter2" not in err


def test_a_store_that_is_none_any_more_is_refused_by_every_command(tailorbird: Tailorbird) -> None:
    measure("a")
    store = Path("runs/a/store.sqlite")
    for name in ("store.sqlite-wal", "store.sqlite-shm"):
        store.with_name(name).unlink(missing_ok=True)
    size = store.stat().st_size
    for content, said in ((b"torn" * 9999, "was damaged"), (bytes(size), "was damaged")):
        store.write_bytes(content)
        for command in (("table", "show"), ("search",), ("profile",)):
            code, out, err = tailorbird(*command, "a.toml")
            assert (code, out) == (2, ""), err
            assert said in err
            assert err.count("\n") == 1
    store.unlink()
    store.mkdir()
    code, _, err = tailorbird("table", "show", "a.toml")
    assert code == 2
    assert "A store must be a file, but 'runs/a/store.sqlite' is a folder" in err


def test_what_a_file_says_is_not_obeyed_by_a_terminal_nor_printed_as_nan(
    tailorbird: Tailorbird,
) -> None:
    measure("a")
    code, _, err = tailorbird("table", "export", "a.toml", "t.json", "--device", "\x1b[31mred")
    assert code == 2
    assert "device: must hold no control characters" in err
    assert tailorbird("table", "export", "a.toml", "t.json")[0] == 0
    record = files.read(Path("t.json"))
    files.write(replace(record, rounds=record.rounds[:2]), Path("one.json"))
    code, out, _ = tailorbird("table", "diff", "one.json", "one.json", "--json")
    assert code == 0
    assert json.loads(out)["kendall_tau"] is None
    assert "NaN" not in out
