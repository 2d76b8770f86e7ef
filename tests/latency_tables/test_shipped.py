from pathlib import Path

import pytest

from tailorbird import spaces
from tailorbird.errors import TailorbirdError
from tailorbird.latency_tables import Configuration, Record, shipped
from tailorbird.latency_tables.formats import files
from tailorbird.spaces import CALL

CONFIGURATION = Configuration("a processor", "x86-64-v3", 1, 4, "tvm", "0.27", "static-7", "1")
ASKED = {"threads": 1, "batch": 4, "runtime": "tvm", "schedule": "static"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(shipped, "folder", lambda: tmp_path)
    for space in ("digits-resnet", "deit-ti-s-b"):
        record = Record("x", f"{space}(...)", CONFIGURATION, {}, (), {})
        files.write(record, tmp_path / f"epyc.{space}.tvm.parquet")
    (tmp_path / "README.md").write_text("no table")
    return tmp_path


def test_a_device_has_a_table_for_each_space_and_runtime(folder: Path) -> None:
    assert [(t.device, t.space, t.runtime) for t in shipped.shipped_tables()] == [
        ("epyc", "deit-ti-s-b", "tvm"),
        ("epyc", "digits-resnet", "tvm"),
    ]
    record = shipped.find("epyc", "digits-resnet", ASKED)
    assert record.device == "epyc"
    assert record.space == "digits-resnet(...)"


def test_a_file_of_ones_own_will_do(folder: Path) -> None:
    path = str(folder / "epyc.digits-resnet.tvm.parquet")
    assert shipped.find(path, "any", ASKED).device == path


@pytest.mark.parametrize(
    ("name", "space", "change", "message"),
    [
        ("epic", "digits-resnet", {}, "no device named 'epic'; did you mean 'epyc'"),
        ("lokal", "digits-resnet", {}, "did you mean 'local'"),
        ("epyc", "swin", {}, "are of deit-ti-s-b by tvm, digits-resnet by tvm, but .* swin by tvm"),
        ("epyc", "deit-ti-s-b", {"runtime": "onnxruntime"}, "asks for deit-ti-s-b by onnxruntime"),
        ("epyc", "deit-ti-s-b", {"batch": 1}, r"table / recipe: batch: 4 / 1\)"),
        (
            "epyc",
            "deit-ti-s-b",
            {"threads": 2, "schedule": "tuned"},
            "threads: 1 / 2; schedule: st",
        ),
        ("no/such.csv", "deit-ti-s-b", {}, "'no/such.csv' cannot be read: No such file"),
    ],
)
def test_what_is_not_there_or_does_not_agree_is_refused(
    folder: Path, name: str, space: str, change: dict[str, object], message: str
) -> None:
    with pytest.raises(TailorbirdError, match=message):
        shipped.find(name, space, {**ASKED, **change})


@pytest.mark.parametrize("table", shipped.shipped_tables(), ids=lambda table: table.file.name)
def test_tables_of_the_package_hold_their_whole_space(table: shipped.ShippedTable) -> None:
    record = table.read()
    assert record.configuration.runtime == table.runtime
    space = spaces.get(table.space, batch=record.configuration.batch)
    assert record.table(2).select([w.key for w in (*space.workloads, CALL)])
