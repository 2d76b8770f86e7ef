"""Durations that `tailorbird check` tells of three examples, beside what a run then takes.

Baseline: what the examples say of themselves, which is for one machine only. Exits with 1 if all
of a recipe takes more than twice as long as told, or less than half.
"""

import json
import math
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from scripts import command_line, write_result

EXAMPLES = Path(__file__).parents[1] / "examples"
RECIPES = ("digits", "digits-elastic", "own-supernet")
MOST_RATIO = 2.0


def output(command: str, recipe: Path) -> str:
    said = [sys.executable, "-m", "tailorbird", command, recipe.name, "--json"]
    done = subprocess.run(said, cwd=recipe.parent, check=True, capture_output=True, text=True)
    return done.stdout


def main() -> None:
    arguments = command_line(__doc__).parse_args()
    result: dict[str, object] = {}
    missed = []
    print(f"{'recipe':<16}{'told s':>8}{'taken s':>9}{'ratio':>7}   goal 0.5 to {MOST_RATIO:g}")
    for name in RECIPES:
        with tempfile.TemporaryDirectory() as folder:
            shutil.copytree(EXAMPLES, folder, dirs_exist_ok=True)
            recipe = Path(folder) / f"{name}.toml"
            plan = json.loads(output("check", recipe))
            start = time.perf_counter()
            output("run", recipe)
            taken = time.perf_counter() - start
            steps = json.loads((Path(folder) / "runs" / name / "summary.json").read_text())
        told = plan["seconds"]
        ratio = math.nan if told is None else told / taken
        result[name] = {"plan": plan["plan"], "told_s": told, "taken_s": taken, **steps["seconds"]}
        print(f"{name:<16}{told or math.nan:8.0f}{taken:9.0f}{ratio:7.2f}", flush=True)
        of_kind = ", ".join(
            f"{w['kind']} {w['seconds']:.0f}" for w in plan["plan"] if w["seconds"] is not None
        )
        of_step = ", ".join(f"{step} {seconds:.0f}" for step, seconds in steps["seconds"].items())
        print(f"    told: {of_kind}\n    taken: {of_step}", flush=True)
        if not 1 / MOST_RATIO <= ratio <= MOST_RATIO:
            missed.append(f"{name}: told {ratio:.2f} of what it took")
    print("\n".join(f"MISSED {line}" for line in missed) or "All goals are met.")
    write_result(arguments.json, {**result, "missed": missed})
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
