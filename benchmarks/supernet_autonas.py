"""A supernet by a recipe, beside one by AutoNAS of NVIDIA's modelopt 0.47.

Both are of the same network for 8x8 digits, `users/my_digits_net.py`, and have the same choices: a
quarter, a half, three quarters or all of the 32 channels inside each of six blocks, 4,096 networks.
Both have the same 600 images, epochs, batch size, augmentation, optimizer, learning rates and
clipping; each calibrates batch norms in its own way. Test accuracies are those of the smallest and
the largest network, and the mean of 20 that are drawn at random. Told besides are the lines that a
user writes (`users/my_space.*`, and `users/my_autonas.py`, whose loop and evaluation a recipe
does not need), how many choices AutoNAS finds by its defaults, and which with these.

modelopt is not among our dependencies. It needs an interpreter of its own, here `--modelopt`:

    python -m venv modelopt && modelopt/bin/pip install nvidia-modelopt==0.47.0 torch torchvision
    modelopt/bin/pip install requests huggingface-hub  # which it imports, and does not ask for

Figures are means over seeds with 95 % intervals (Student's t). Exits with 1 if any of the three is
lower than AutoNAS's by two standard errors of the difference within a seed, or if a recipe takes
more lines. Some two minutes for a seed on a quiet core.
"""

import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import numpy as np
import torch
from scripts import command_line, write_result
from scripts.image_arrays import some_of
from scripts.seeds import cell, standard_error, with_interval

from tailorbird.progress import TerminalProgress
from tailorbird.spaces import FloatArray, IntArray
from tailorbird.spaces.chains import Chain
from tailorbird.spaces.shared import smallest_and_largest
from tailorbird.training import SupernetTraining, digits, train_supernet

USERS = Path(__file__).parent / "users"
OURS, THEIRS = ("my_space.py", "my_space.toml"), ("my_autonas.py",)
N_RANDOM = 20
DATASET = digits.load()


def networks(space: Chain) -> IntArray:
    """The smallest and the largest network, and some at random, (22, d)."""
    some = space.sample(N_RANDOM, np.random.default_rng(0))
    return np.concatenate([smallest_and_largest(space), some])


def ours(space: Chain, X: IntArray, epochs: int, seed: int) -> FloatArray:
    """Test accuracies of networks (n, d), (n,), of a supernet as the recipe trains it."""
    settings = SupernetTraining(epochs, seed)
    with tempfile.TemporaryDirectory() as folder:
        made = train_supernet(space, DATASET, settings, Path(folder), TerminalProgress())
    return made.evaluate(X, DATASET.test)


def theirs(python: Path, widths: list[list[int]], epochs: int, seed: int) -> dict[str, Any]:
    """What `users/my_autonas.py` finds, for networks of some inner widths of the six blocks."""
    train, test = some_of(DATASET.train), some_of(DATASET.test)
    with tempfile.TemporaryDirectory() as folder:
        settings, images = Path(folder, "settings.json"), Path(folder, "images.npz")
        settings.write_text(json.dumps({"epochs": epochs, "seed": seed, "networks": widths}))
        np.savez(images, train.images, train.labels, test.images, test.labels)
        command = [str(python.absolute()), "-m", "peers.autonas", str(settings), str(images)]
        here = USERS.parent
        told = subprocess.run(command, cwd=here, stdout=subprocess.PIPE, check=True, text=True)
    found: dict[str, Any] = json.loads(told.stdout.splitlines()[-1])
    return found


def n_lines(files: tuple[str, ...]) -> int:
    """Lines that are not empty."""
    return sum(bool(line.strip()) for f in files for line in (USERS / f).read_text().splitlines())


FIGURES: Mapping[str, Callable[[FloatArray], FloatArray]] = {
    "smallest": lambda accuracy: accuracy[:, 0],
    "largest": lambda accuracy: accuracy[:, 1],
    f"mean of {N_RANDOM}": lambda accuracy: accuracy[:, 2:].mean(axis=1),
}
"""By name, what is made of accuracies (seeds, 2 + 20)."""


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--modelopt", type=Path, metavar="PYTHON", help="interpreter that has it")
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    if arguments.modelopt is None:
        sys.exit("MISSED no interpreter that has modelopt 0.47: give --modelopt PYTHON, see --help")
    torch.set_num_threads(1)
    sys.path.insert(0, str(USERS))
    space = importlib.import_module("my_space").space(batch=16)
    assert isinstance(space, Chain)
    X = networks(space)
    widths = [[int(v.choices[g]) for v, g in zip(space.variables, row, strict=True)] for row in X]
    accuracies = dict[str, list[FloatArray]](tailorbird=[], modelopt=[])
    seconds = dict[str, list[float]](tailorbird=[], modelopt=[])
    for seed in range(arguments.seeds):
        begin = time.perf_counter()
        accuracies["tailorbird"].append(ours(space, X, arguments.epochs, seed))
        between = time.perf_counter()
        told = theirs(arguments.modelopt, widths, arguments.epochs, seed)
        accuracies["modelopt"].append(np.array(told["accuracy"]))
        seconds["tailorbird"].append(between - begin)
        seconds["modelopt"].append(time.perf_counter() - between)
    lines = {"tailorbird": n_lines(OURS), "modelopt": n_lines(THEIRS)}
    figures = {
        by: {name: of(np.array(rows)) for name, of in FIGURES.items()}
        for by, rows in accuracies.items()
    }
    print(f"{arguments.epochs} epochs, {arguments.seeds} seeds: test accuracy in %, 95 % intervals")
    print(f"{'':<12}" + "".join(f"{name:<22}" for name in FIGURES) + f"{'lines':<8}seconds a seed")
    for by, found in figures.items():
        cells = "".join(f"{cell(with_interval(one)):<22}" for one in found.values())
        print(f"{by:<12}{cells}{lines[by]:<8}{np.mean(seconds[by]):.0f}")
    print(f"Choices that AutoNAS finds by its defaults: {len(told['by_default'])}")
    print(f"Choices that it finds with these ratios and a divisor of 1: {', '.join(told['names'])}")
    missed = behind(figures["tailorbird"], figures["modelopt"])
    if lines["tailorbird"] > lines["modelopt"]:
        missed.append(f"{lines['tailorbird']} lines, goal at most {lines['modelopt']}")
    print("\n".join(f"MISSED {line}" for line in missed) or "All goals are met.")
    result = {
        by: {
            **{name: with_interval(one) for name, one in found.items()},
            "test_accuracy": np.array(accuracies[by]).tolist(),
            "lines": lines[by],
            "seconds": seconds[by],
        }
        for by, found in figures.items()
    }
    facts = {"epochs": arguments.epochs, "seeds": arguments.seeds, "missed": missed}
    choices = {"by_default": told["by_default"], "names": told["names"]}
    write_result(arguments.json, {**facts, **result, "choices_of_modelopt": choices})
    sys.exit(bool(missed))


def behind(ours: Mapping[str, FloatArray], theirs: Mapping[str, FloatArray]) -> list[str]:
    """Figures (seeds,) that are clearly lower than the peer's."""
    missed = []
    for name, own in ours.items():
        lead = own - theirs[name]
        if lead.mean() < -2 * standard_error(lead):
            missed.append(f"{name}: {-100 * lead.mean():.2f} points below modelopt's")
    return missed


if __name__ == "__main__":
    main()
