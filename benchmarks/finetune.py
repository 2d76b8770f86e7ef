"""`tailorbird finetune` of three networks: before, after, and against training from scratch.

A supernet of digits-elastic (360 networks, 58 times between the fewest and the most multiply-adds)
is trained by its example recipe on 600 digits; `--recipe` takes another space and other data. Three
of its networks, the smallest, the one in the middle of log MACs and the largest, are finetuned by
the command, which also trains each from scratch (`--against-scratch`), for as many passes over the
training images as the supernet and finetuning had.

Figures are those of the table and the sentences that the command leaves: test accuracies, means
over seeds with 95 % intervals (Student's t), and for each seed the differences, paired by image,
with a standard error. Exits with 1 if a network of any seed is worse after than before, on test or
on validation images, or if the command does not say so where from scratch wins by two standard
errors, or says so where it does not. Some 18,000 passes a seed; what is trained is kept in --folder
and picked up.
"""

import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tomli_w
from scripts import command_line, write_result
from scripts.alone import spread_over_sizes
from scripts.seeds import cell, with_interval

from tailorbird.pipeline.opening import open_recipe
from tailorbird.spaces.chains import Chain

EXAMPLE = Path(__file__).parents[1] / "examples" / "digits-elastic.toml"
SIZES = ("smallest", "middle", "largest")
SAYS_SO = "better by two standard errors or more"
LINES = {"before": "accuracy_test_before", "after": "accuracy_test"}


def finetuned(recipe: Path, folder: Path, seed: int) -> list[dict[str, Any]]:
    """Rows of the table of three networks, each with what the command said of it.

    Args:
        recipe: of the supernet.
        folder: for its runs; the recipe's own files stay where they are.
        seed: in the place of the recipe's.
    """
    name = f"{recipe.stem}-seed-{seed}"
    path, asked = folder / f"{name}.toml", tomllib.loads(recipe.read_text())
    latency = asked["latency"] | {"store": str((folder / "store.sqlite").absolute())}
    path.write_text(tomli_w.dumps(asked | {"name": name, "seed": seed, "latency": latency}))
    for step in ("profile", "train"):
        told(folder, step, path.name)
    space = open_recipe(path).space
    assert isinstance(space, Chain)
    rows = []
    for row in spread_over_sizes(space, len(SIZES)):
        text = space.describe(row)
        said = told(folder, "finetune", path.name, "--architecture", text, "--against-scratch")
        table = pd.read_parquet(folder / "runs" / name / "finetuned.parquet")
        (network,) = table[table["architecture"] == text].to_dict(orient="records")
        rows.append({**{str(k): v for k, v in network.items()}, "said": said})
    return rows


def told(folder: Path, *arguments: str) -> str:
    """What a command prints; a line each, as in a file that is no terminal."""
    command = [sys.executable, "-m", "tailorbird", *arguments]
    environment = {**os.environ, "COLUMNS": "10000"}
    done = subprocess.run(
        command, cwd=folder, check=True, stdout=subprocess.PIPE, text=True, env=environment
    )
    return done.stdout


def compare(size: str, networks: list[dict[str, Any]]) -> tuple[dict[str, object], list[str]]:
    """Figures of one network over seeds, and what is missed; prints its lines."""
    test = {name: np.array([n[key] for n in networks]) for name, key in LINES.items()}
    test["scratch"] = np.array([n["accuracy_test"] + n["scratch_lead"] for n in networks])
    figures = {name: with_interval(values) for name, values in test.items()}
    cells = "".join(f"{cell(figure):<22}" for figure in figures.values())
    n_better = sum(bool(n["scratch_is_better"]) for n in networks)
    print(f"{size:<10}{cells}{n_better:>3} of {len(networks)}    {networks[0]['architecture']}")
    missed = []
    for seed, n in enumerate(networks):
        gain, lead, error = n["accuracy_test_gain"], n["scratch_lead"], n["scratch_lead_std"]
        says_so = SAYS_SO in n["said"]
        print(
            f"  seed {seed}: {100 * gain:+.2f} ± {100 * n['accuracy_test_gain_std']:.2f} points, "
            f"from scratch {100 * lead:+.2f} ± {100 * error:.2f} more"
            f"{': the command says so' if says_so else ''}"
            f"{'' if n['finetuned_has_changed'] else '; kept as before'}"
        )
        missed += [
            f"{size}, seed {seed}: worse after than before on {split} images"
            for split in ("test", "validation")
            if n[f"accuracy_{split}"] < n[f"accuracy_{split}_before"]
        ]
        if says_so != (lead > 0 and lead >= 2 * error):
            missed.append(f"{size}, seed {seed}: the command is wrong about from scratch")
    kept = ("accuracy_test_gain", "scratch_lead", "finetuned_has_changed", "said")
    seeds = [{key: n[key] for key in kept} for n in networks]
    return {"network": networks[0]["architecture"], **figures, "seeds": seeds}, missed


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--recipe", type=Path, default=EXAMPLE)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path("runs/bench/finetune"))
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    seeds = range(arguments.seeds)
    of_seeds = [finetuned(arguments.recipe, arguments.folder, seed) for seed in seeds]
    first = of_seeds[0][0]
    print(
        f"{arguments.recipe.stem}, {first['finetuned_epochs']} epochs of finetuning, "
        f"{first['scratch_epochs']:.0f} from scratch, {arguments.seeds} seeds: test accuracy in %, "
        "with 95 % intervals"
    )
    heads = "".join(f"{head:<22}" for head in ("before", "after", "from scratch"))
    print(f"{'':<10}{heads}surely    network")
    result: dict[str, object] = {}
    missed: list[str] = []
    for size, networks in zip(SIZES, zip(*of_seeds, strict=True), strict=True):
        result[size], more = compare(size, list(networks))
        missed += more
    print("\n".join(f"MISSED {line}" for line in missed) or "All goals are met.")
    facts = {"recipe": arguments.recipe.stem, "seeds": arguments.seeds, "missed": missed}
    write_result(arguments.json, {**facts, "networks": result})
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
