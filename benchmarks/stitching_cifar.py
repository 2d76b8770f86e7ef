"""Stitched ResNets for CIFAR-10 as JPEG beside their anchors, each fine-tuned alone for its share.

Anchors are ResNet-20 and -56, then -20, -32, -44 and -56, of akamaster/pytorch_resnet_cifar10. What
is compared costs ten epochs of 10,000 training images in all stages together. The first line goes
through the anchors, each fine-tuned alone for its share of all steps, at the best of three learning
rates by validation images; the second through the anchors of the stitched network itself. Both are
lines by multiply-adds, and a stitched network beyond the largest anchor is compared with that.

Ways of training are compared with two anchors, three seeds, 2,000 validation and 3,000 test images.
The best of them by validation images, and the recipe that has nothing of it, are compared with four
anchors, one seed and 10,000 test images. JPEG costs the anchors some ten points against their
published figures. Intervals are 95 % of Student's t over seeds. Exits with 1 if, of the best way
with two anchors, the mean distance from the first line is below half a point, or an anchor loses
more than half a point inside. All that is made is kept in --folder and picked up.
"""

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from scripts import command_line, write_result
from scripts.image_arrays import some_of
from scripts.stitching_lines import BATCH, LEAST, Piece, Task, best_of, compared, missed, rates_of

from tailorbird.published.data_folder import data_folder
from tailorbird.spaces.stitching import BelowLargerAnchor, Windows
from tailorbird.spaces.stitching.families.cifar_resnet import CifarResNet
from tailorbird.training import Dataset, Split
from tailorbird.training.data import cifar10
from tailorbird.training.optimization import Optimization

FILES = {
    "r20": "resnet20-12fca82f.th",
    "r32": "resnet32-d509ac18.th",
    "r44": "resnet44-014dd654.th",
    "r56": "resnet56-4bfd9763.th",
}
BLOCKS = {"r20": 3, "r32": 5, "r44": 7, "r56": 9}
TWO, FOUR = ("r20", "r56"), ("r20", "r32", "r44", "r56")
EPOCHS = 10
RATES = (5e-4, 2e-3, 5e-3)

PLAIN = {"learning_rates": rates_of(2e-3, 2e-3), "distillation": "none", "routes": "uniform"}
LOW = {**PLAIN, "shared_learning_rates": rates_of(1e-3, 5e-3)}
HALF = {**LOW, "batch": BATCH // 2}
PIECES = (
    Piece("plain", 0, PLAIN),
    Piece("anchors first", 2, PLAIN),
    Piece("low rates", 2, LOW),
    Piece("share of anchors", 2, {**LOW, "share_of_anchors": 0.3}),
    Piece("below larger", 2, LOW, BelowLargerAnchor(Windows(2, 1))),
    Piece("klas", 2, LOW, chooses=True),
    Piece("soft teacher", 2, {**LOW, "distillation": "soft"}),
    Piece("no decay of norms", 2, {**LOW, "optimization": Optimization(decay_norms=False)}),
    Piece("cosine", 2, {**LOW, "optimization": Optimization(schedule="cosine")}),
    Piece("two routes a step", 2, {**LOW, "routes_per_step": 2}),
    Piece("half the batch", 2, HALF),
    Piece("averaged weights", 2, {**LOW, "optimization": Optimization(weight_averaging=0.99)}),
    Piece("half, klas", 2, HALF, chooses=True),
    Piece("half, klas, share", 2, {**HALF, "share_of_anchors": 0.4}, chooses=True),
)


def task_of(anchors: Sequence[str], dataset: Dataset, test: Split, folder: Path) -> Task:
    """Training of some of the anchors."""
    depths, name = tuple((BLOCKS[a],) * 3 for a in anchors), f"cifar-{'-'.join(anchors)}"
    weights = data_folder() / "resnet_cifar10_akamaster"
    return Task(
        CifarResNet(BATCH, tuple(anchors), depths, name=name),
        Windows(2, 1),
        dataset,
        test,
        {anchor: weights / FILES[anchor] for anchor in anchors},
        EPOCHS,
        RATES,
        folder / name,
    )


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path("runs/bench/stitching_cifar"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    every = cifar10.load_published()
    dataset = replace(every, validation=some_of(every.validation, 2000))
    task = task_of(TWO, dataset, some_of(every.test, 3000), arguments.folder)
    two = compared(task, PIECES, arguments.seeds)
    best = best_of(two)
    flaws = missed(best, two[best])
    winner = next(piece for piece in PIECES if piece.name == best)
    # Of four anchors an epoch each, as of two anchors two.
    ways = [PIECES[0], replace(winner, epochs_alone=min(1, winner.epochs_alone))]
    task = task_of(FOUR, dataset, some_of(every.test, 10_000), arguments.folder)
    four = compared(task, ways, 1)
    for pair, of in four[best]["of_pair"].items():
        print(f"{pair}: {100 * of['mean']['mean']:.2f}, best {100 * of['best']:.2f}")
    print("\n".join(f"MISSED {line}" for line in flaws) or "All goals are met.")
    facts = {"data": "CIFAR-10 as JPEG", "epochs": EPOCHS, "goal": LEAST, "missed": flaws}
    write_result(arguments.json, {**facts, "best": best, "two anchors": two, "four anchors": four})
    sys.exit(bool(flaws))


if __name__ == "__main__":
    main()
