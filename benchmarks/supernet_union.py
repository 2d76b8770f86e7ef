"""The example of a union from an empty folder: minutes, and its front against each space alone.

Each space is run alone by the same recipe with that one space, as many evaluations and as many
checked networks. It has the table and the weights of the union, which are those that it would make
itself, so that fronts differ by what was chosen. Hypervolumes are of measured latency and test
accuracy, in one box around all networks that any of the runs checked.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path
from typing import Any

import pandas as pd
import tomli_w
from scripts import command_line, write_result

from tailorbird.recipe.accuracy import STITCHED_KEYS, SUPERNET_KEYS
from tailorbird.reports.hypervolumes import Box

RECIPE = Path(__file__).parents[1] / "examples" / "union.toml"
IDLE = {
    "digits-resnet": SUPERNET_KEYS - STITCHED_KEYS,
    "digits-elastic": STITCHED_KEYS - SUPERNET_KEYS,
}
"""Keys of [accuracy] that a space does not take alone."""

MOST_MINUTES = 8.0


def written_alone(space: str, folder: Path) -> Path:
    """Writes the recipe with one of its spaces, with what the union has made for that."""
    recipe = tomllib.loads(RECIPE.read_text())
    (table,) = (one for one in recipe["space"] if one["name"] == space)
    accuracy = {k: value for k, value in recipe["accuracy"].items() if k not in IDLE[space]}
    latency = recipe["latency"] | {"store": str(folder / "runs" / "union" / "store.sqlite")}
    own = {"name": space, "space": table, "accuracy": accuracy, "latency": latency}
    weights = folder / "runs" / "union" / "weights" / space
    shutil.copytree(weights, folder / "runs" / space / "weights")
    path = folder / f"{space}.toml"
    path.write_text(tomli_w.dumps(recipe | own))
    return path


def ran(recipe: Path) -> tuple[dict[str, Any], pd.DataFrame, pd.DataFrame]:
    """Runs a recipe in its folder; returns the summary, the checked front and random networks."""
    command = [sys.executable, "-m", "tailorbird", "run", recipe.name]
    subprocess.run(command, cwd=recipe.parent, check=True, capture_output=True)
    made = recipe.parent / "runs" / recipe.stem
    tables = [pd.read_parquet(made / f"{name}.parquet") for name in ("front", "random")]
    return json.loads((made / "summary.json").read_text()), tables[0], tables[1]


def figures(folder: Path) -> dict[str, Any]:
    """Runs the union in an empty folder, then each space alone; returns what came of it."""
    start = time.perf_counter()
    summary, union, random = ran(Path(shutil.copy(RECIPE, folder)))
    minutes = (time.perf_counter() - start) / 60
    fronts, checked = {"union": union}, [union, random]
    for space in IDLE:
        _, fronts[space], random = ran(written_alone(space, folder))
        checked += [fronts[space], random]
    box = Box.around(pd.concat(checked))
    if box is None:
        raise SystemExit("No two networks differ in what was measured.")
    return {
        "minutes": minutes,
        "seconds": summary["seconds"],
        "hypervolume": {name: box.share(front) for name, front in fronts.items()},
        "networks_of": union["space"].value_counts().to_dict(),
        "hypervolume_of": summary["hypervolume_of"],
        "mape": summary["mape"],
        "share_of_exact_hypervolume": summary["share_of_exact_hypervolume"],
        "best_test_accuracy": {n: float(f["accuracy_test"].max()) for n, f in fronts.items()},
    }


def missed(found: dict[str, Any]) -> list[str]:
    """Goals that were missed, a line each."""
    lines, minutes, share = list[str](), found["minutes"], found["hypervolume"]
    if minutes >= MOST_MINUTES:
        lines.append(f"MISSED minutes: {minutes:.2f}, goal < {MOST_MINUTES}")
    lines += [
        f"MISSED hypervolume: {share['union']:.4f}, goal >= {share[space]:.4f} of {space} alone"
        for space in IDLE
        if share["union"] < share[space]
    ]
    return lines


def main() -> None:
    arguments = command_line(__doc__).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = figures(Path(folder))
    for name, value in found.items():
        print(f"{name:<28} {value}")
    lines = missed(found)
    print("\n".join(lines))
    write_result(arguments.json, {**found, "missed": lines})
    sys.exit(bool(lines))


if __name__ == "__main__":
    main()
