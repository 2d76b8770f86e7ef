"""Stitched ResNets for CIFAR-10 as JPEG, from real pretrained weights, beside their anchors.

ResNet-20, -32, -44 and -56 of akamaster/pytorch_resnet_cifar10 are stitched by least squares and
fine-tuned together on 10,000 training images. Every route is evaluated on the 10,000 test images,
beside the anchors as given, and beside each anchor fine-tuned alone for as many steps with the same
loss and learning rates. Before fine-tuning, stitches that start from 10 to 500 images are compared
with random ones.

JPEG costs the anchors some ten points against their published figures, so all figures here are on
"CIFAR-10 as JPEG". Errors are binomial. Latency is that of the whole network under TVM, one thread,
in two rounds; MACs are for one image. All that is made is kept in --folder and picked up.
"""

from pathlib import Path

import numpy as np
import torch
from scripts import command_line, write_result
from scripts.image_arrays import some_of
from torch import nn

from tailorbird import spaces
from tailorbird.latency_tables import Profiler, Store, Timing
from tailorbird.latency_tables.devices.device import find
from tailorbird.latency_tables.profiling.space_programs import network_program
from tailorbird.latency_tables.runtimes.tvm import TvmRuntime
from tailorbird.predictors.metrics import accuracy_std
from tailorbird.progress import TerminalProgress
from tailorbird.published.data_folder import data_folder
from tailorbird.spaces import IntArray
from tailorbird.spaces.footprint import count_macs
from tailorbird.spaces.shared import KINDS
from tailorbird.spaces.stitching import StitchSpace
from tailorbird.training import Dataset, Split, Training, train
from tailorbird.training.data import cifar10
from tailorbird.training.shared.network import SharedNetwork
from tailorbird.training.stitching.anchors import place

FILES = {
    "r20": "resnet20-12fca82f.th",
    "r32": "resnet32-d509ac18.th",
    "r44": "resnet44-014dd654.th",
    "r56": "resnet56-4bfd9763.th",
}
IMAGES = (0, 10, 50, 100, 500)
COMPARED = 500


def settings(weights: Path, *, train_epochs: int, stitch_epochs: int, images: int) -> Training:
    return Training(
        train_epochs,
        stitch_epochs,
        seed=0,
        learning_rates=dict.fromkeys(KINDS, 2e-3),
        distillation="none",
        stitch_images=images,
        anchors={name: weights / file for name, file in FILES.items()},
    )


def as_given(space: StitchSpace, weights: Path, split: Split) -> list[float]:
    """Accuracy of the anchors with the statistics that they came with."""
    network = SharedNetwork(space).eval()
    family = space.family
    found = []
    for row, (name, file) in zip(space.landmarks, FILES.items(), strict=True):
        anchor = family.anchors.index(name)
        # This family takes weights; of spaces by name no more is known than that they have one.
        place(network, family, anchor, weights / file)  # type: ignore[arg-type]  # see above
        module = nn.Sequential(*map(network.module_of, space.route(row)))
        n_right = 0
        with torch.inference_mode():
            for index in np.array_split(np.arange(len(split.labels)), 40):
                answers = module(split.batch(index)).argmax(1).numpy()
                n_right += int((answers == split.labels[index]).sum())
        found.append(n_right / len(split.labels))
    return found


def before_training(
    space: StitchSpace, X: IntArray, dataset: Dataset, weights: Path, folder: Path
) -> dict[str, dict[str, float]]:
    """Accuracy of stitched routes on some validation images, by how their stitches start."""
    some = some_of(dataset.validation, COMPARED)
    found = {}
    print(f"\nBefore fine-tuning, {len(X)} stitched routes on {COMPARED} images: mean, min, max")
    for images in IMAGES:
        made = settings(weights, train_epochs=0, stitch_epochs=0, images=images)
        start = train(space, dataset, made, folder / f"start-{images}", TerminalProgress())
        accuracies = start.evaluate(X, some)
        name = f"least squares on {images}" if images else "random"
        found[name] = {k: float(getattr(accuracies, k)()) for k in ("mean", "min", "max")}
        print(f"{name:<24}" + "".join(f"{value:8.3f}" for value in found[name].values()))
    return found


def measured_ms(space: StitchSpace, X: IntArray, folder: Path) -> list[float]:
    runtime = TvmRuntime(folder / "compiled", Timing())
    store = Store(f"sqlite:///{folder / 'store.sqlite'}")
    profiler = Profiler(runtime, find("local", threads=1), 1, store)
    programs = [network_program(space, row) for row in X]
    try:
        profiler.profile(programs, 2, TerminalProgress())
    finally:
        runtime.close()
    table = store.table(profiler.configuration, "local", 2)
    return [latency.median_ms for latency in table.select([program.key for program in programs])]


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=Path("runs/bench/stitching_cifar"))
    arguments = parser.parse_args()
    space = spaces.get("cifar-resnet")
    assert isinstance(space, StitchSpace)
    folder, weights = arguments.folder, data_folder() / "resnet_cifar10_akamaster"
    dataset = cifar10.load(data_folder())
    halves = (dataset.validation, dataset.test)
    test = Split(
        np.concatenate([some_of(half).images for half in halves]),
        np.concatenate([half.labels for half in halves]),
    )
    X = np.concatenate([space.landmarks, *space.enumerate()])
    _, first = np.unique(X, axis=0, return_index=True)
    X = X[np.sort(first)]  # anchors first
    stitched = X[len(space.landmarks) :]

    starts = before_training(space, stitched[::3], dataset, weights, folder)
    given = as_given(space, weights, test)
    made = settings(weights, train_epochs=0, stitch_epochs=arguments.epochs, images=100)
    together = train(space, dataset, made, folder / "together", TerminalProgress())
    accuracy = together.evaluate(X, test)
    made = settings(weights, train_epochs=arguments.epochs, stitch_epochs=0, images=100)
    alone = train(space, dataset, made, folder / "alone", TerminalProgress())
    fine_tuned = alone.evaluate(space.landmarks, test)
    ms = measured_ms(space, X, folder)

    macs = count_macs(space, X)
    std = accuracy_std(accuracy, len(test.labels))
    print(f"\nCIFAR-10 as JPEG, {len(test.labels)} test images, {arguments.epochs} epochs")
    print(f"{'route':<26}{'MMACs':>8}{'ms':>8}{'accuracy, %':>16}")
    for row, m, t, a, s in zip(X, macs, ms, accuracy, std, strict=True):
        print(f"{space.describe(row):<26}{m / 1e6:8.1f}{t:8.3f}{100 * a:9.2f} ± {100 * s:.2f}")
    print("\nanchor   as given   alone   in the stitched network, %")
    names = space.family.anchors
    for values in zip(names, given, fine_tuned, accuracy[: len(names)], strict=True):
        print(f"{values[0]:<8}" + "".join(f"{100 * value:9.2f}" for value in values[1:]))
    result = {
        "data": "CIFAR-10 as JPEG",
        "epochs": arguments.epochs,
        "n_test": len(test.labels),
        "routes": [space.describe(row) for row in X],
        "n_macs": macs.tolist(),
        "latency_ms": ms,
        "accuracy": accuracy.tolist(),
        "accuracy_std": std.tolist(),
        "anchors_as_given": given,
        "anchors_alone": fine_tuned.tolist(),
        "before_training": starts,
        "n_stitched": len(stitched),
    }
    for name, ends, x in (
        ("shared_anchors_by_macs", accuracy[: len(names)], macs),
        ("shared_anchors_by_ms", accuracy[: len(names)], np.array(ms)),
        ("anchors_alone_by_macs", fine_tuned, macs),
        ("anchors_alone_by_ms", fine_tuned, np.array(ms)),
    ):
        n = len(names)
        line = np.interp(x[n:], x[:n], ends)
        above = accuracy[n:] > line
        clearly = accuracy[n:] > line + 2 * std[n:]
        result[f"above_line_of_{name}"] = int(above.sum())
        result[f"clearly_above_line_of_{name}"] = int(clearly.sum())
        print(
            f"{above.sum()} of {len(stitched)} stitched routes lie above the line between "
            f"neighbouring anchors ({name}), {clearly.sum()} by two standard errors"
        )
    write_result(arguments.json, result)


if __name__ == "__main__":
    main()
