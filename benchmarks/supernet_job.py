"""The example of a supernet from an empty folder: minutes, the front that was checked, prediction.

The recipe is copied into an empty folder, so that nothing lies beside it. Baseline of the order of
latencies: that of MACs alone; of the search: the exact front under the same predictors.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
from scripts import command_line, write_result

from tailorbird.predictors.metrics import kendall_tau

RECIPE = Path(__file__).parents[1] / "examples" / "digits-elastic.toml"
GOALS = {
    "minutes": ("<", 5.0),
    "share_of_exact_hypervolume": (">=", 0.99),
    "n_non_dominated": (">=", 5),
    "mape": ("<=", 0.03),
    "best_test_accuracy": (">=", 0.97),
}


def figures(folder: Path) -> dict[str, float]:
    """Runs the recipe in an empty folder; returns what came of it."""
    shutil.copy(RECIPE, folder)
    start = time.perf_counter()
    command = [sys.executable, "-m", "tailorbird", "run", RECIPE.name]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    minutes = (time.perf_counter() - start) / 60
    made = folder / "runs" / "digits-elastic"
    summary = json.loads((made / "summary.json").read_text())
    tables = [pd.read_parquet(made / f"{name}.parquet") for name in ("front", "random")]
    timed = pd.concat(tables).dropna(subset="latency_ms_measured").drop_duplicates("architecture")
    return {
        "minutes": minutes,
        "share_of_exact_hypervolume": summary["share_of_exact_hypervolume"],
        "n_non_dominated": summary["n_non_dominated"],
        "mape": summary["mape"],
        "best_test_accuracy": float(tables[0]["accuracy_test"].max()),
        "kendall_tau": summary["kendall_tau"],
        "kendall_tau_macs": kendall_tau(
            timed["n_macs"].to_numpy(float), timed["latency_ms_measured"].to_numpy()
        ),
        **{f"seconds_{step}": seconds for step, seconds in summary["seconds"].items()},
    }


def main() -> None:
    arguments = command_line(__doc__).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = figures(Path(folder))
    missed = []
    for name, value in found.items():
        relation, goal = GOALS.get(name, ("", None))
        print(f"{name:<28} {value:10.4f}" + (f"   goal {relation} {goal}" if relation else ""))
        if goal is not None:
            meets = {"<": value < goal, "<=": value <= goal, ">=": value >= goal}[relation]
            if not meets:
                missed.append(f"MISSED {name}: {value:.4f}, goal {relation} {goal}")
    print("\n".join(missed))
    write_result(arguments.json, {**found, "missed": missed})
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
