"""Several devices behind one tracker: real servers on loopback, killed, frozen and restarted."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from servers import RpcProcess, rpc_server, rpc_tracker

from tailorbird.latency_tables import Configuration, Record, Store
from tailorbird.latency_tables.devices.device import find

pytestmark = [pytest.mark.tvm, pytest.mark.slow]

ROUNDS = 3
RECIPE = """
name = "{name}"
[space]
name = "digits-resnet"
max_stitches = 1
[device]
batch = 16
threads = {threads}
target = "{target}"
{address}
[latency]
rounds = {rounds}
store = "shared.sqlite"
"""


@dataclass(frozen=True)
class Kind:
    """A kind of device, each with a configuration of its own."""

    key: str
    target: str
    threads: int


KINDS = (
    Kind("here", str(find("local", threads=1).target), 1),
    Kind("avx2", "x86-64-v3", 1),
    Kind("sse", "x86-64", 1),
    Kind("two-threads", str(find("local", threads=1).target), 2),
)


def profile(folder: Path, kind: Kind, address: str) -> "subprocess.Popen[str]":
    recipe = folder / f"{kind.key}.toml"
    recipe.write_text(
        RECIPE.format(
            name=kind.key,
            threads=kind.threads,
            target=kind.target,
            address=address,
            rounds=ROUNDS,
        )
    )
    command = [sys.executable, "-m", "tailorbird", "profile", recipe.name, "--json"]
    return subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_rows(running: "subprocess.Popen[str]", folder: Path, key: str, n_rows: int) -> None:
    """Until a profiler has so many rounds, so that it is measuring."""
    end = time.monotonic() + 300
    while True:
        assert time.monotonic() < end
        assert running.poll() is None, running.communicate()
        file = folder / "shared.sqlite"
        if (folder / f"runs/{key}/device.json").exists() and file.exists():
            record = record_of(folder, next(kind for kind in KINDS if kind.key == key))
            if len(record.rounds) >= n_rows:
                return
        time.sleep(0.5)


def record_of(folder: Path, kind: Kind) -> Record:
    from tailorbird.latency_tables.runtime import Timing
    from tailorbird.latency_tables.runtimes.tvm import TvmRuntime

    device = find("local", threads=kind.threads, target=kind.target)
    configuration: Configuration = TvmRuntime(folder / "none", Timing()).configuration(device, 16)
    return Store(f"sqlite:///{folder / 'shared.sqlite'}").record(configuration)


@pytest.mark.parametrize("n_devices", [2, 4])
def test_tables_fill_in_parallel_through_kills_and_freezes(n_devices: int, tmp_path: Path) -> None:
    kinds = KINDS[:n_devices]
    with ExitStack() as stack:
        tracker = stack.enter_context(rpc_tracker(tmp_path))
        servers: dict[str, RpcProcess] = {}
        for kind in kinds:
            arguments = ("--tracker", tracker.address, "--key", kind.key)
            servers[kind.key] = stack.enter_context(rpc_server(tmp_path, *arguments))
        time.sleep(3)  # they tell the tracker
        address = 'tracker = "{}"\nkey = "{}"'
        running = {
            kind.key: profile(tmp_path, kind, address.format(tracker.address, kind.key))
            for kind in kinds
        }
        killed, frozen = kinds[0].key, kinds[1].key
        wait_for_rows(running[killed], tmp_path, killed, 8)
        servers[killed].kill()
        wait_for_rows(running[frozen], tmp_path, frozen, 12)
        servers[frozen].signal(signal.SIGSTOP)  # first: it is done soon while the other is away
        servers[killed].start()
        time.sleep(15)
        servers[frozen].kill()
        servers[frozen].start()
        told = {key: one.communicate(timeout=1200) for key, one in running.items()}
    spans = {}
    for kind in kinds:
        out, err = told[kind.key]
        assert running[kind.key].returncode == 0, err
        rows = json.loads(out)["rows"]
        assert len(rows) == 16
        record = record_of(tmp_path, kind)
        # What was retracted, as the machine was slow then, does not count.
        counted = record.accepted
        taken = [(key, one.number) for key, rounds in counted.items() for one in rounds]
        assert sorted(taken) == sorted(
            {(row["workload"], n) for row in rows for n in range(ROUNDS)}
        )
        spans[kind.key] = (record.rounds[0].taken, record.rounds[-1].taken)
        assert ("was lost and came back (1x)" in err) == (kind.key in (killed, frozen)), err
    # Every profiler had begun before any had ended.
    assert max(start for start, _ in spans.values()) < min(end for _, end in spans.values())
