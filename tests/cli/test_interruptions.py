"""Runs that a signal ends anywhere, resumed: nothing is lost, and the outcome is the same."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from patience import PATIENCE_S

from tailorbird.published.data_folder import data_folder

RECIPE = """
name = "kept"
[space]
name = "ofa-mobilenetv3"
[device]
name = "i7-8700K"
[latency]
runtime = "imported"
[accuracy]
published = "top1"
predictor = "ridge"
[search]
population = 20
generations = 10
[report]
networks = 2
random_networks = 2
"""
TABLE, ACCURACIES = "ofa_mbv3_lut_i7_8700k.csv.gz", "ofa_mbv3_dynast_acc.parquet"
PARTS = ("*.part", "*.new")

pytestmark = [pytest.mark.slow, pytest.mark.data(TABLE, ACCURACIES)]


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tailorbird", *arguments]
    return subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def done(folder: Path, *arguments: str) -> str:
    process = start(folder, *arguments)
    _, err = process.communicate()
    assert process.returncode == 0, err
    return err


def phase_of(folder: Path) -> str:
    """What a run was doing, as its log says."""
    log = folder / "runs" / "kept" / "run.log"
    last = [line for line in log.read_text().splitlines() if " starts" in line or " took" in line]
    return " ".join(last[-1].split()[2:4]) if last else "opening"


def rows(folder: Path) -> int:
    store = folder / "runs" / "kept" / "store.sqlite"
    if not store.exists():
        return 0
    with closing(sqlite3.connect(store)) as opened:
        is_made = opened.execute("select 1 from sqlite_master where name = 'sample'").fetchone()
        return int(opened.execute("select count(*) from sample").fetchone()[0]) if is_made else 0


@dataclass(frozen=True)
class Undisturbed:
    """A run that nothing ended: what it made, and how long each step took."""

    folder: Path
    front: bytes
    import_s: float
    run_s: float
    report_s: float


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "kept.toml").write_text(RECIPE)
    (folder / TABLE).symlink_to((data_folder() / TABLE).resolve())
    begin = time.monotonic()
    done(folder, "table", "import", "kept.toml", TABLE)
    import_s = time.monotonic() - begin
    begin = time.monotonic()
    done(folder, "run", "kept.toml")
    run_s = time.monotonic() - begin
    log = (folder / "runs" / "kept" / "run.log").read_text()
    report_s = float(log.rpartition("report took ")[2].split()[0])
    front = (folder / "runs" / "kept" / "front.parquet").read_bytes()
    return Undisturbed(folder, front, import_s, run_s, report_s)


def wait_for(sign: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    while not sign() and process.poll() is None:
        time.sleep(0.002)


def ended(process: subprocess.Popen[str], number: signal.Signals) -> bool:
    """Sends a signal; whether it came in time, after which nothing is told but that it ended."""
    if process.poll() is None:
        os.kill(process.pid, number)
    _, err = process.communicate(timeout=PATIENCE_S)
    if process.returncode == 0:
        return False
    assert "Traceback" not in err
    if number != signal.SIGKILL and process.returncode != -number:  # before Python could listen
        assert process.returncode == 1, err
        assert err.count("stopped. What was done is kept") == 1, err
    return True


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_is_ended_anywhere_goes_on_to_the_same_front(
    number: signal.Signals,
    undisturbed: Undisturbed,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    rng = np.random.default_rng(int(number))
    landed: Counter[str] = Counter()
    for k in range(10):
        folder = tmp_path / str(k)
        folder.mkdir()
        for name in ("kept.toml", TABLE):
            (folder / name).symlink_to(undisturbed.folder / name)
        store, log = (folder / "runs" / "kept" / name for name in ("store.sqlite", "run.log"))
        if k < 3:  # while rows are written
            process = start(folder, "table", "import", "kept.toml", TABLE)
            wait_for(store.exists, process)
            time.sleep(rng.uniform(0, undisturbed.import_s / 3))
            in_time = ended(process, number)
            assert rows(folder) in (0, 4050)  # all or nothing
            landed["table import"] += in_time
            done(folder, "table", "import", "kept.toml", TABLE)
            assert rows(folder) == 4050
        else:
            store.parent.mkdir(parents=True)
            shutil.copy(undisturbed.folder / "runs" / "kept" / store.name, store)
        process = start(folder, "run", "kept.toml")
        if k < 6:
            wait_for(lambda: log.exists() and "report starts" in log.read_text(), process)  # noqa: B023
            time.sleep(rng.uniform(0, undisturbed.report_s))
        else:
            time.sleep(rng.uniform(0.2, 1) * undisturbed.run_s)
        if ended(process, number):
            landed[phase_of(folder) if log.exists() else "opening"] += 1
        err = done(folder, "run", "kept.toml")
        assert err.count("is torn") <= 1
        made = folder / "runs" / "kept"
        assert (made / "front.parquet").read_bytes() == undisturbed.front
        assert not [path for pattern in PARTS for path in made.rglob(pattern)]
    record_property("landed", dict(landed))
    print(f"\n{number.name}: {landed.total()} of 13 landed, by phase: {dict(landed)}")  # noqa: T201
    assert landed.total() >= 8
