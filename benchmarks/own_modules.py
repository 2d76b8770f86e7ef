"""A table of three modules that have nothing in common, measured by TVM and by a command.

From an empty folder into which the user writes `users/my_modules.py`, two recipes, and
`users/my_bench.py`, which runs onnxruntime in another process. Told are the lines that are
written, the seconds of `tailorbird profile`, and both latencies of each module side by side.

Goals: every module has both latencies, outputs were compared with torch's, and neither latency is
more than five times the other: they are other kernels, but of the same machine. Exits with 1 if
one is missed.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

from scripts import command_line, write_result

USERS = Path(__file__).parent / "users"
FILES = ("my_modules.py", "my_bench.py")
RECIPE = """name = "{name}"
[space]
programs = "my_modules:programs"
[latency]
{latency}
"""
LATENCIES = {
    "tvm": 'runtime = "tvm"',
    "command": f'runtime = "command"\ncommand = "{sys.executable} my_bench.py {{onnx}} '
    '{inputs} {outputs}"',
}
MOST_RATIO = 5.0


def profiled(name: str) -> tuple[list[dict[str, Any]], float]:
    """Rows of the table, and the seconds that it took."""
    begin = time.perf_counter()
    command = [sys.executable, "-m", "tailorbird", "profile", f"{name}.toml", "--json"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    rows: list[dict[str, Any]] = json.loads(done.stdout)["rows"]
    return rows, time.perf_counter() - begin


def main() -> None:
    arguments = command_line(__doc__).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for file in FILES:
            shutil.copy(USERS / file, folder)
        for name, latency in LATENCIES.items():
            Path(f"{name}.toml").write_text(RECIPE.format(name=name, latency=latency))
        n_lines = {path.name: len(path.read_text().splitlines()) for path in Path().iterdir()}
        tables = {name: profiled(name) for name in LATENCIES}
        subprocess.run(
            [sys.executable, "-m", "tailorbird", "table", "diff", "tvm.toml", "command.toml"],
            check=True,
        )
    print("lines written:", ", ".join(f"{name} {n}" for name, n in sorted(n_lines.items())))
    print("seconds:", ", ".join(f"{name} {seconds:.0f}" for name, (_, seconds) in tables.items()))
    ms = {
        name: {row["workload"]: row["median_ms"] for row in rows}
        for name, (rows, _) in tables.items()
    }
    missed = []
    for key, tvm_ms in ms["tvm"].items():
        command_ms = ms["command"].get(key)
        print(f"{key:40} TVM {tvm_ms:.4f} ms, command {command_ms or float('nan'):.4f} ms")
        if command_ms is None:
            missed.append(f"{key} has no latency by the command")
        elif "call" not in key and not 1 / MOST_RATIO < command_ms / tvm_ms < MOST_RATIO:
            missed.append(f"{key}: {command_ms:.4f} ms by the command, {tvm_ms:.4f} by TVM")
    missed += [
        f"{row['workload']}: outputs were not compared by {name}"
        for name, (rows, _) in tables.items()
        for row in rows
        if "outputs" in row["provenance"]
    ]
    if len(ms["tvm"]) != 4:
        missed.append(f"{len(ms['tvm'])} rows by TVM, not the three modules and the empty program")
    print("\n".join(f"MISSED {line}" for line in missed) or "All goals are met.")
    result = {"n_lines": n_lines, "ms": ms, "missed": missed}
    result["seconds"] = {name: seconds for name, (_, seconds) in tables.items()}
    write_result(arguments.json, result)
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
