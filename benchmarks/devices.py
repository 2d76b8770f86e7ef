"""Latencies through an RPC server on loopback against those of this machine, by one protocol.

Two profilers, one through a server and one without, take turns on one machine with the same
programs, so that neither has the quieter hour; and so three times, with new processes. Where
code and buffers lie differs from process to process, and stays so in each: so the repeats that a
difference is judged by are those of processes, and not the rounds of one. Per workload of
`digits-resnet`: the ratio of the medians of each side, beside how far the processes of either side
lie apart. Exit code 1 if more than one workload in ten differs by more than that, the median ratio
is off by more than 5 %, repeats lie too far apart to tell, or tables are not of one configuration.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from scripts import command_line, write_result

RECIPE = """
name = "digits"
[space]
name = "digits-resnet"
[device]
batch = {batch}
{address}
[latency]
rounds = {rounds}
"""
REPEATS = 3
LARGEST_BIAS, LEAST_SHARE, LARGEST_SPREAD = 0.05, 0.9, 0.1


@contextmanager
def server() -> Iterator[str]:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    ports = ("--port", str(port), "--port-end", str(port + 1))
    process = subprocess.Popen(
        [sys.executable, "-m", "tvm.exec.rpc_server", "--host", "127.0.0.1", *ports, "--silent"],
        start_new_session=True,
        stderr=subprocess.DEVNULL,
    )
    try:
        time.sleep(10)
        yield f"127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def profile(folder: Path, recipe: str) -> "subprocess.Popen[str]":
    folder.mkdir()
    (folder / "recipe.toml").write_text(recipe)
    command = [sys.executable, "-m", "tailorbird", "profile", "recipe.toml", "--json"]
    return subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def listing(process: "subprocess.Popen[str]") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(process.communicate()[0])
    assert process.returncode == 0
    return found


def medians(of: dict[str, Any]) -> dict[str, float]:
    return {row["workload"]: row["median_ms"] for row in of["rows"]}


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=16)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, server() as address:
        asked = {"there": f'endpoint = "{address}"', "here": ""}
        listings: dict[tuple[str, int], dict[str, Any]] = {}
        for number in range(REPEATS):
            running = {
                where: profile(
                    Path(name) / f"{where}-{number}",
                    RECIPE.format(batch=arguments.batch, address=line, rounds=arguments.rounds),
                )
                for where, line in asked.items()
            }
            listings |= {(where, number): listing(one) for where, one in running.items()}
    first = listings["here", 0]
    if any(one["configuration"] != first["configuration"] for one in listings.values()):
        sys.exit("MISSED: rows are not of one configuration.")
    tables = {which: medians(one) for which, one in listings.items()}
    found = {}
    for key in tables["here", 0]:
        sides = {
            where: np.array([tables[where, number][key] for number in range(REPEATS)])
            for where in asked
        }
        spread = max(float(np.ptp(ms) / np.median(ms)) for ms in sides.values())
        here_ms = float(np.median(sides["here"]))
        ratio = float(np.median(sides["there"])) / here_ms
        found[key] = {"here_ms": here_ms, "ratio": ratio, "spread": spread}
        print(f"{ratio:6.3f}  repeats {spread:6.1%}  {here_ms:9.5f} ms  {key}")
    ratios = np.array([row["ratio"] for row in found.values()])
    spreads = np.array([row["spread"] for row in found.values()])
    summary = {
        "median_ratio": float(np.median(ratios)),
        "worst_ratio": float(np.exp(np.abs(np.log(ratios)).max())),
        "share_within_spread": float(np.mean(np.abs(ratios - 1) <= spreads)),
        "median_spread": float(np.median(spreads)),
    }
    for label, value in summary.items():
        print(f"{label:<22} {value:.3f}")
    write_result(arguments.json, summary | {"rows": found})
    if abs(summary["median_ratio"] - 1) > LARGEST_BIAS:
        sys.exit("MISSED: latencies through the server are biased.")
    if summary["median_spread"] > LARGEST_SPREAD:
        sys.exit("MISSED: repeats lie too far apart for any to differ.")
    if summary["share_within_spread"] < LEAST_SHARE:
        sys.exit("MISSED: latencies differ by more than their repeats.")


if __name__ == "__main__":
    main()
