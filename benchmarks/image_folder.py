"""Folders of images: as accurate as arrays of the same images, in memory that does not grow.

2,000 training and 2,000 validation images of CIFAR-10 as JPEG are written as a folder. Supernets of
cifar-elastic learn from it, opened as by a recipe that names the folder and no more, and from
arrays of the same images with the augmentation of cifar10-jpeg, for a few epochs each. The figure
is the mean accuracy of 20 networks on images that none of them learned from. Then `tailorbird
train` runs as a process on a folder of 2,000 and on one of 20,000 training images, and its largest
memory is read.

Exits with 1 if accuracies differ by more than two standard errors over seeds, or if
memory differs by more than a tenth. Half an hour on a quiet core.
"""

import io
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import numpy as np
import torch
from PIL import Image
from scripts import command_line, write_result
from scripts.seeds import cell, standard_error, with_interval

from tailorbird import spaces
from tailorbird.progress import TerminalProgress
from tailorbird.published.data_folder import data_folder
from tailorbird.spaces import FloatArray, IntArray
from tailorbird.spaces.chains import Chain
from tailorbird.spaces.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing
from tailorbird.training import Dataset, Split, SupernetTraining, train_supernet
from tailorbird.training.data.augment import shift_and_flip
from tailorbird.training.data.image_source import ImageSource, load

N_TRAIN, N_MORE, N_VALIDATION = 2_000, 20_000, 2_000
N_NETWORKS = 20
MOST_GROWTH = 0.1
FILES = {"train": "cifar10_jpeg_train10k.npz", "val": "cifar10_jpeg_test10k.npz"}

RECIPE = """\
name = "{name}"
[space]
name = "cifar-elastic"
[device]
threads = 1
[latency]
runtime = "torch"
[accuracy]
data = "{data}"
supernet_epochs = 1
"""


def jpegs(split: str, n: int) -> Iterator[tuple[bytes, int]]:
    """Files and labels of a split; those beyond the 10,000 that there are come again."""
    with np.load(data_folder() / FILES[split], allow_pickle=False) as arrays:
        content, ends, labels = (arrays[name] for name in ("jpeg", "offset", "label"))
    spans = [*pairwise(ends.tolist())]
    order = np.random.default_rng(0).permutation(len(labels))  # they lie sorted by label
    for number in range(n):
        i = order[number % len(order)]
        yield content[slice(*spans[i])].tobytes(), int(labels[i])


def write_folder(folder: Path, n_train: int) -> Path:
    """A folder of JPEGs, under names of their own."""
    if folder.exists():
        return folder
    part = folder.with_name(f".{folder.name}.part")
    for split, n in (("train", n_train), ("val", N_VALIDATION)):
        for number, (content, label) in enumerate(jpegs(split, n)):
            path = part / split / f"class{label}" / f"{number:06d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    part.rename(folder)
    return folder


def in_arrays() -> Dataset:
    """The same images in arrays, decoded here, with the augmentation that arrays have."""
    train, rest = (split_of(split, n) for split, n in (("train", N_TRAIN), ("val", N_VALIDATION)))
    halves = (Split(rest.images[k::2], rest.labels[k::2]) for k in range(2))
    return Dataset("arrays", 10, train, next(halves), next(halves), shift_and_flip)


def split_of(split: str, n: int) -> Split:
    """Images of a split as arrays, normalised by the mean and deviation of ImageNet."""
    images, labels = [], []
    for content, label in jpegs(split, n):
        with Image.open(io.BytesIO(content)) as picture:
            pixels = np.asarray(picture.convert("RGB"), dtype=np.float32) / 255
        images.append(((pixels - IMAGENET_MEAN) / IMAGENET_STD).transpose(2, 0, 1))
        labels.append(label)
    return Split(np.array(images, dtype=np.float32), np.array(labels))


def accuracies(
    datasets: dict[str, Dataset], epochs: int, seeds: int, folder: Path
) -> dict[str, FloatArray]:
    """Mean accuracies of some networks, by data set, (seeds,)."""
    space = spaces.get("cifar-elastic", batch=1)
    assert isinstance(space, Chain)
    X: IntArray = space.repair(space.sample(N_NETWORKS, np.random.default_rng(0)))
    found: dict[str, list[float]] = {name: [] for name in datasets}
    for seed in range(seeds):
        for name, dataset in datasets.items():
            at = folder / f"{name}-{epochs}-{seed}"
            settings = SupernetTraining(epochs, seed)
            made = train_supernet(space, dataset, settings, at, TerminalProgress())
            both = [made.evaluate(X, split).mean() for split in (dataset.validation, dataset.test)]
            found[name].append(float(np.mean(both)))
    return {name: np.array(values) for name, values in found.items()}


def peak_mib(recipe: Path) -> float:
    """Largest memory of `tailorbird train`, and of each process that it starts, in MiB."""
    command = [sys.executable, "-m", "tailorbird", "train", str(recipe)]
    process = subprocess.Popen(command, cwd=recipe.parent, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed")
    return used.ru_maxrss / 1024


def peaks(folder: Path) -> Iterator[tuple[int, float]]:
    for n in (N_TRAIN, N_MORE):
        data = write_folder(folder / f"cifar-{n}", n)
        recipe = folder / f"train-{n}.toml"
        recipe.write_text(RECIPE.format(name=f"train-{n}-{os.getpid()}", data=data.absolute()))
        yield n, peak_mib(recipe)


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path("runs/bench/image_folder"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    folder, missed = arguments.folder, []
    of_folder = load(
        ImageSource(
            str(write_folder(folder / f"cifar-{N_TRAIN}", N_TRAIN)),
            Preprocessing((32, 32), crop=1.0),
        )
    )
    datasets = {"folder": of_folder, "arrays": in_arrays()}
    found = accuracies(datasets, arguments.epochs, arguments.seeds, folder)
    gain = found["folder"] - found["arrays"]
    error = math.hypot(*map(standard_error, found.values()))
    print(f"{N_TRAIN:,} images, {arguments.epochs} epochs: mean accuracy of {N_NETWORKS} networks")
    for name, values in found.items():
        print(f"  {name:<8}{cell(with_interval(values))}")
    print(f"  difference {100 * gain.mean():+.2f}, goal within {200 * error:.2f}")
    if not abs(gain.mean()) <= 2 * error:
        missed.append(f"accuracies differ by {100 * gain.mean():+.2f} points")

    memory = dict(peaks(folder))
    growth = memory[N_MORE] / memory[N_TRAIN] - 1
    for n, mib in memory.items():
        print(f"  {n:>6,} images: {mib:.0f} MiB")
    print(f"  growth {100 * growth:+.1f} %, goal within {100 * MOST_GROWTH:g} %")
    if not abs(growth) <= MOST_GROWTH:
        missed.append(f"memory grows by {100 * growth:.1f} %")
    write_result(
        arguments.json,
        {
            "accuracy": {name: values.tolist() for name, values in found.items()},
            "difference": float(gain.mean()),
            "goal_difference": 2 * error,
            "peak_mib": {str(n): mib for n, mib in memory.items()},
            "growth": growth,
            "goal_growth": MOST_GROWTH,
        },
    )
    for line in missed:
        print(f"MISSED {line}")
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
