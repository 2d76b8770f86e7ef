"""The example of a union from an empty folder: minutes, and its front against each space alone.

Each space is run alone by the same recipe with that one space, as many evaluations and as many
checked networks. It has the table and the weights of the union, which are those that it would make
itself, so that fronts differ by what was chosen. Hypervolumes are of measured latency and test
accuracy, in one box around all networks that any of the runs of a seed checked; means over seeds
have 95 % intervals (Student's t). Exits with 1 if a union takes longer than eight minutes, or if
either space alone has more hypervolume in the mean.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tomli_w
from scripts import command_line, write_result
from scripts.seeds import plain_cell, with_interval

from tailorbird.recipe.accuracy import STITCHED_KEYS, SUPERNET_KEYS
from tailorbird.reports.hypervolumes import Box
from tailorbird.spaces import FloatArray

RECIPE = Path(__file__).parents[1] / "examples" / "union.toml"
IDLE = {
    "digits-resnet": SUPERNET_KEYS - STITCHED_KEYS,
    "digits-elastic": STITCHED_KEYS - SUPERNET_KEYS,
}
"""Keys of [accuracy] that a space does not take alone."""

MOST_MINUTES = 8.0


def written(folder: Path, seed: int) -> Path:
    """Writes the recipe with another seed."""
    path = folder / RECIPE.name
    path.write_text(tomli_w.dumps(tomllib.loads(RECIPE.read_text()) | {"seed": seed}))
    return path


def written_alone(space: str, folder: Path) -> Path:
    """Writes the recipe with one of its spaces, with what the union has made for that."""
    recipe = tomllib.loads((folder / RECIPE.name).read_text())
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


def figures(folder: Path, seed: int) -> dict[str, Any]:
    """Runs the union in an empty folder, then each space alone; returns what came of it."""
    start = time.perf_counter()
    summary, union, random = ran(written(folder, seed))
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


def missed(minutes: Sequence[float], share: dict[str, FloatArray]) -> list[str]:
    """Goals that were missed, a line each.

    Args:
        minutes: of the union from an empty folder, by seed.
        share: of the box that fronts hold, (seeds,), by union and space.
    """
    lines, union = list[str](), share["union"].mean()
    if max(minutes) >= MOST_MINUTES:
        lines.append(f"MISSED minutes: {max(minutes):.2f}, goal < {MOST_MINUTES}")
    lines += [
        f"MISSED hypervolume: {union:.4f}, goal >= {share[space].mean():.4f} of {space} alone"
        for space in IDLE
        if union < share[space].mean()
    ]
    return lines


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    found = list[dict[str, Any]]()
    for seed in range(arguments.seeds):
        with tempfile.TemporaryDirectory() as folder:
            found.append(figures(Path(folder), seed))
        print(f"seed {seed}")
        for name, value in found[-1].items():
            print(f"  {name:<28} {value}", flush=True)
    minutes = [one["minutes"] for one in found]
    share = {n: np.array([one["hypervolume"][n] for one in found]) for n in ("union", *IDLE)}
    for name, values in share.items():
        print(f"hypervolume of {name:<15} {plain_cell(with_interval(values))}")
    lines = missed(minutes, share)
    print("\n".join(lines) or "All goals are met.")
    means = {name: with_interval(values) for name, values in share.items()}
    write_result(arguments.json, {"hypervolume": means, "seeds": found, "missed": lines})
    sys.exit(bool(lines))


if __name__ == "__main__":
    main()
