"""Stitched residual networks for 8x8 digits beside their anchors, each trained alone for its share.

The four anchors of digits-resnet, and networks that cross one stitch. What is compared costs 270
epochs in all stages together, as in the demo. The first line goes through the anchors, each trained
alone for its share of all images, at the best of four learning rates and two batch sizes by
validation images; the second through the anchors of the stitched network itself. Both are lines by
multiply-adds, and a stitched network beyond the largest anchor is compared with that.

Figures are of the test images; rates of anchors alone, and the best way, are chosen by validation
images. Intervals are 95 % of Student's t over three seeds. Exits with 1 if the mean distance of the
best way from the first line is below half a point, or if an anchor loses more than half a point
inside. All that is trained is kept in --folder and picked up.
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from scripts import command_line, write_result
from scripts.image_arrays import some_of
from scripts.stitching_lines import BATCH, LEAST, Piece, Task, best_of, compared, missed, rates_of

from tailorbird.spaces.stitching import BelowLargerAnchor, Windows
from tailorbird.spaces.stitching.families.digits_resnet import DigitsResNet
from tailorbird.training import digits
from tailorbird.training.optimization import Optimization

EPOCHS, ALONE = 270, 30
RATES = (1e-2, 2e-2, 4e-2, 8e-2)
BATCHES = (BATCH, BATCH // 2)
WINDOWS = Windows(3, 1)
PLAIN = {"learning_rates": rates_of(2e-2, 2e-2)}
HALF = {**PLAIN, "batch": BATCH // 2}
LEARNING = {**HALF, "anchors_from": "largest"}
SHARED = {**LEARNING, "share_of_anchors": 0.4}
LOW = {**PLAIN, "shared_learning_rates": rates_of(5e-3, 2e-2)}
PIECES = (
    Piece("plain", ALONE, PLAIN),
    Piece("low rates", ALONE, LOW),
    Piece("share of anchors", ALONE, {**PLAIN, "share_of_anchors": 0.4}),
    Piece("below larger", ALONE, PLAIN, BelowLargerAnchor(WINDOWS)),
    Piece("klas", ALONE, PLAIN, chooses=True),
    Piece("no teacher", ALONE, {**PLAIN, "distillation": "none"}),
    Piece("no decay of norms", ALONE, {**PLAIN, "optimization": Optimization(decay_norms=False)}),
    Piece("two routes a step", ALONE, {**PLAIN, "routes_per_step": 2}),
    Piece("features first", ALONE, {**PLAIN, "stitch_loss": "features"}),
    Piece("half batch", ALONE, HALF),
    Piece("distilled anchors", ALONE, {**PLAIN, "anchors_from": "largest"}),
    Piece("assembled anchors", ALONE, {**PLAIN, "anchors_from": "meta"}),
    Piece("distilled, half", ALONE, LEARNING),
    Piece("distilled, half, klas", ALONE, LEARNING, chooses=True),
    Piece("assembled, half", ALONE, {**HALF, "anchors_from": "meta"}),
    Piece("distilled, half, klas, 15 alone", 15, LEARNING, chooses=True),
    Piece("distilled, half, klas, share", ALONE, SHARED, chooses=True),
    Piece("all of these", 15, SHARED, chooses=True),
)


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path("runs/bench/stitching_digits"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    dataset = digits.load()
    test, folder = some_of(dataset.test), arguments.folder
    task = Task(DigitsResNet(BATCH), WINDOWS, dataset, test, {}, EPOCHS, RATES, folder, BATCHES)
    found = compared(task, PIECES, arguments.seeds)
    best = best_of(found)
    flaws = missed(best, found[best])
    print("\n".join(f"MISSED {line}" for line in flaws) or "All goals are met.")
    facts = {"epochs": EPOCHS, "goal": LEAST, "missed": flaws}
    write_result(arguments.json, {**facts, "best": best, "ways": found})
    sys.exit(bool(flaws))


if __name__ == "__main__":
    main()
