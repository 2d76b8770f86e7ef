"""Training and evaluation in bf16 and in f16 against f32, on the same seeds.

Supernets of digits-elastic and of cifar-elastic (2,000 training images of CIFAR-10 as JPEG) learn
in each precision, by the same images, networks and steps; the figure is the mean accuracy of 8
networks on validation and test images, evaluated in the precision that they learned in.

Exits with 1 if a precision differs from f32 by more than two standard errors over seeds. A
processor without instructions for bf16 computes it ten times slower than f32: half an hour there on
one quiet core.
"""

import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import numpy as np
import torch
from scripts import command_line, write_result
from scripts.image_arrays import drawn_of
from scripts.seeds import cell, standard_error, with_interval

from tailorbird import spaces
from tailorbird.progress import TerminalProgress
from tailorbird.spaces import FloatArray, IntArray
from tailorbird.spaces.chains import Chain
from tailorbird.training import Dataset, SupernetTraining, train_supernet
from tailorbird.training.compute import Compute
from tailorbird.training.data import cifar10, digits

N_NETWORKS = 8
N_CIFAR, N_OTHER = 2_000, 500


def few_of_cifar() -> Dataset:
    """CIFAR-10 as JPEG with fewer training and other images, which lie sorted by label."""
    data = cifar10.load_published()
    train, validation, test = (
        drawn_of(split, n)
        for split, n in ((data.train, N_CIFAR), (data.validation, N_OTHER), (data.test, N_OTHER))
    )
    return replace(data, train=train, validation=validation, test=test)


def tasks(digits_epochs: int, cifar_epochs: int) -> Iterator[tuple[str, Dataset, int]]:
    yield "digits-elastic", digits.load(), digits_epochs
    yield "cifar-elastic", few_of_cifar(), cifar_epochs


def accuracies(
    name: str, data: Dataset, epochs: int, precision: str, seeds: int, folder: Path
) -> FloatArray:
    """Mean accuracies of some networks, (seeds,)."""
    space = spaces.get(name, batch=1)
    assert isinstance(space, Chain)
    X: IntArray = space.repair(space.sample(N_NETWORKS, np.random.default_rng(0)))
    means = []
    for seed in range(seeds):
        settings = SupernetTraining(epochs, seed, compute=Compute(precision=precision))
        at = folder / f"{name}-{precision}-{epochs}-{seed}"
        made = train_supernet(space, data, settings, at, TerminalProgress())
        n = [len(split.labels) for split in (data.validation, data.test)]
        both = [made.evaluate(X, split).mean() for split in (data.validation, data.test)]
        means.append(float(np.average(both, weights=n)))
    return np.array(means)


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--spaces", nargs="*", default=["digits-elastic", "cifar-elastic"])
    parser.add_argument("--digits-epochs", type=int, default=40)
    parser.add_argument("--cifar-epochs", type=int, default=6)
    parser.add_argument("--precisions", nargs="*", default=["bf16"], choices=["bf16", "f16"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path("runs/bench/training_precision"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    result, missed = dict[str, object](), list[str]()
    for name, data, epochs in tasks(arguments.digits_epochs, arguments.cifar_epochs):
        if name not in arguments.spaces:
            continue
        found = {
            precision: accuracies(name, data, epochs, precision, arguments.seeds, arguments.folder)
            for precision in ("f32", *arguments.precisions)
        }
        plain = found["f32"]
        print(f"{name}, {epochs} epochs: mean accuracy of {N_NETWORKS} networks in %")
        for precision, values in found.items():
            gain = float((values - plain).mean())
            error = float(np.hypot(standard_error(values), standard_error(plain)))
            goal = "" if precision == "f32" else f"{100 * gain:+.2f}, goal within {200 * error:.2f}"
            print(f"  {precision:<5}{cell(with_interval(values))}{goal}", flush=True)
            if precision != "f32" and not abs(gain) <= 2 * error:
                missed.append(f"{name} in {precision}: {100 * gain:+.2f} points from f32")
        result[name] = {precision: values.tolist() for precision, values in found.items()}
    write_result(arguments.json, {"seeds": arguments.seeds, "accuracies": result})
    for line in missed:
        print(f"MISSED {line}")
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
