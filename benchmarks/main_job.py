"""The main job from an empty folder, and again: seconds, rank correlation, the checked front.

Baseline of the latency prediction: the order of the networks by their MACs alone.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
from scripts import command_line, write_result

from tailorbird.predictors.metrics import kendall_tau

RECIPE = Path(__file__).parents[1] / "examples" / "digits.toml"


def seconds_of_run(folder: Path) -> float:
    start = time.perf_counter()
    command = [sys.executable, "-m", "tailorbird", "run", str(RECIPE)]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return time.perf_counter() - start


def main() -> None:
    parser = command_line(__doc__)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        fresh, again = (seconds_of_run(Path(folder)) for _ in range(2))
        made = Path(folder) / "runs" / "digits"
        summary = json.loads((made / "summary.json").read_text())
        networks = pd.concat([pd.read_parquet(made / f"{n}.parquet") for n in ("front", "random")])
    timed = networks.dropna(subset="latency_ms_measured").drop_duplicates("architecture")
    by_macs = kendall_tau(timed["n_macs"].to_numpy(float), timed["latency_ms_measured"].to_numpy())
    del summary["seconds"]
    result = {"seconds_fresh": fresh, "seconds_again": again, "kendall_tau_macs": by_macs} | summary
    for name, value in result.items():
        print(f"{name:<28} {value:.4f}" if isinstance(value, float) else f"{name:<28} {value}")
    write_result(arguments.json, result)


if __name__ == "__main__":
    main()
