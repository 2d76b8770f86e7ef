"""Exported networks, run in fresh processes from each of their files, beside torch.

Five networks of digits-resnet, digits-elastic and cifar-resnet, and one of every other space, drawn
at random. Each is written as safetensors, plain Python and ONNX; Python and ONNX are run in
processes of their own, on one image and on seven, and the largest difference from torch is told as
a share of the largest logit. Networks of the first two spaces are trained for a few epochs before;
those of cifar-resnet are its anchors and what joins them by least squares, if the published weights
and images are here. Their accuracy is that of raw pictures, as bytes, through an ONNX file which
prepares them itself: it must be that of the evaluation, but for two images of digits, whose 17 grey
values are rounded to bytes.

At the end three networks of digits-resnet are timed whole on this machine, as reports do, and then
as the libraries of TVM that an export writes, in turn.

Exits with 1 if a difference is above 1e-4, a batch is fixed, an accuracy is another, or latencies
of a library are more than 10 % from that of the report in the median of three exports.
"""

import math
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scripts import command_line, write_result
from scripts.image_arrays import some_of
from torch import nn

import tailorbird
from tailorbird import spaces
from tailorbird.errors import ExportError
from tailorbird.export.about import About
from tailorbird.export.destination import SUFFIXES, Destination
from tailorbird.export.network import Compare, save
from tailorbird.export.prepared import pixels_of
from tailorbird.latency_tables.profiling.space_programs import network_program
from tailorbird.pipeline.export_comparison import MOST_ERROR, Comparison, run_onnx
from tailorbird.pipeline.exporting import MOST_APART
from tailorbird.progress import NoProgress
from tailorbird.published.data_folder import data_folder
from tailorbird.spaces import IntArray, SearchSpace
from tailorbird.spaces.chains import Chain
from tailorbird.spaces.registry import SPACES
from tailorbird.spaces.stitching import StitchSpace
from tailorbird.training import (
    Dataset,
    SupernetTraining,
    Trained,
    Training,
    digits,
    train,
    train_supernet,
)
from tailorbird.training.data import cifar10

FORMS = ("python", "onnx")
N_NETWORKS = 5
N_IMAGES = 597
EPOCHS = 40
FILES = {
    "r20": "resnet20-12fca82f.th",
    "r32": "resnet32-d509ac18.th",
    "r44": "resnet44-014dd654.th",
    "r56": "resnet56-4bfd9763.th",
}


def trained_networks(folder: Path) -> Iterator["Given"]:
    """Yields trained networks."""
    data = digits.load()
    stitched, elastic = spaces.get("digits-resnet", batch=8), spaces.get("digits-elastic", batch=8)
    assert isinstance(stitched, StitchSpace)
    assert isinstance(elastic, Chain)
    progress = NoProgress()
    made = train(stitched, data, Training(EPOCHS, EPOCHS, 0), folder / "stitched", progress)
    yield Given(stitched, made, data, 2)
    made = train_supernet(elastic, data, SupernetTraining(EPOCHS, 0), folder / "elastic", progress)
    yield Given(elastic, made, data, 2)
    weights = data_folder() / "resnet_cifar10_akamaster"
    if weights.is_dir():
        space, data = spaces.get("cifar-resnet", batch=8), cifar10.load_published()
        assert isinstance(space, StitchSpace)
        anchors = {name: weights / file for name, file in FILES.items()}
        made = train(space, data, Training(0, 0, 0, anchors=anchors), folder / "cifar", progress)
        yield Given(space, made, data)


@dataclass(frozen=True, slots=True)
class Given:
    """Networks that are exported.

    Attributes:
        space: of the networks.
        trained: with their weights; fresh ones if None.
        data: on which they are evaluated.
        n_other: test images that may be told otherwise from bytes.
    """

    space: SearchSpace
    trained: Trained | None = None
    data: Dataset | None = None
    n_other: int = 0

    @property
    def rows(self) -> IntArray:
        """Rows of networks, drawn at random."""
        n = N_NETWORKS if self.trained else 1
        return self.space.sample(n, np.random.default_rng(0))

    def errors(self, row: IntArray, folder: Path) -> dict[str, float]:
        """Differences from torch, by format; infinite if the batch is fixed."""
        shape = (7, *self.space.input_shape[1:])
        images = np.random.default_rng(1).standard_normal(shape, dtype=np.float32)
        if self.data is not None:
            images = some_of(self.data.test, 7).images
        network = self._network(row)

        def compared(files: Mapping[str, Path], fixed_batch: int | None) -> dict[str, float]:
            if fixed_batch is not None:
                raise ExportError(f"the batch is fixed at {fixed_batch}")
            return Comparison(network, images, None)(files, None)

        to = Destination.at(folder / "n", tuple(SUFFIXES))
        try:
            save(network, About(self.space, row), to, found := Kept(compared))
        except ExportError as error:
            print(error)
            return dict.fromkeys(FORMS, math.inf)
        return found.errors

    def accuracies(self, row: IntArray, folder: Path) -> tuple[float, float] | None:
        """Accuracy on test images by torch, and of raw pictures through ONNX; None if unknown."""
        if self.trained is None or self.data is None or self.data.preprocessing is None:
            return None
        test = some_of(self.data.test, N_IMAGES)
        about = About(self.space, row, self.data.preprocessing, takes_pixels=True)
        file = folder / "raw.onnx"
        save(self._network(row), about, Destination.at(file, ()))
        pixels = pixels_of(torch.from_numpy(test.images), self.data.preprocessing).numpy()
        (logits,) = run_onnx(file, [pixels])
        from_pixels = float((logits.argmax(1) == test.labels).mean())
        return float(self.trained.evaluate(row[None], test)[0]), from_pixels

    def _network(self, row: IntArray) -> nn.Module:
        return self.trained.extract(row) if self.trained else self.space.build(row).eval()


class Kept:
    """Remembers what a comparison found."""

    def __init__(self, compare: Compare) -> None:
        self._compare = compare
        self.errors: dict[str, float] = {}

    def __call__(self, files: Mapping[str, Path], fixed_batch: int | None) -> dict[str, float]:
        self.errors = dict(self._compare(files, fixed_batch))
        return self.errors


def checked(title: str, given: Given, folder: Path) -> tuple[dict[str, object], list[str]]:
    """Prints the line of a space; returns what it says, and which goals it misses."""
    begun = time.monotonic()
    errors = [given.errors(row, folder) for row in given.rows]
    seconds = (time.monotonic() - begun) / len(errors)
    both = [found for row in given.rows if (found := given.accuracies(row, folder)) is not None]
    worst = {form: max(e[form] for e in errors) for form in FORMS}
    told = ", ".join(f"{100 * a:.1f} / {100 * b:.1f}" for a, b in both)
    figures = f"{worst['python']:10.1e}{worst['onnx']:10.1e}"
    print(f"{title:<26}{len(errors):9}{seconds:9.1f}{figures}   {told}", flush=True)
    flaws = [f"{title}: {form} is {e:.1e} off" for form, e in worst.items() if e > MOST_ERROR]
    flaws += [
        f"{title}: accuracy {a:.4f} by torch, {b:.4f} from bytes"
        for a, b in both
        if abs(a - b) * N_IMAGES > given.n_other + 0.1
    ]
    return {"space": title, "errors": errors, "accuracies": both}, flaws


def libraries() -> tuple[list[dict[str, object]], list[str]]:
    """Latencies of networks as a report measures them, and of the libraries that are exported."""
    recipe = {
        "name": "libraries",
        "space": {"name": "digits-resnet"},
        "device": {"batch": 16},
        "accuracy": {"train_epochs": 1, "stitch_epochs": 1},
    }
    run = tailorbird.open_recipe(recipe, NoProgress())
    space, rows, flaws = run.space, list[dict[str, object]](), list[str]()
    with run.held():
        for row in space.sample(3, np.random.default_rng(0)):
            (program,) = [network_program(space, row)]
            table = run.latency.timed([program], 2, NoProgress())
            reported = table.entries[program.key].median_ms
            x = np.zeros(space.input_shape, dtype=np.float32)
            made = [run.latency.library(space.build(row).eval(), x) for _ in range(3)]
            ms = float(np.median([one.median_ms for one in made if one is not None]))
            ratio = ms / reported
            text = space.describe(row)
            print(f"{text:<40}{reported:8.3f} ms in a report{ms:8.3f} ms exported{ratio:7.3f}")
            rows.append({"network": text, "reported_ms": reported, "exported_ms": ms})
            if not abs(ratio - 1) <= MOST_APART:
                flaws.append(f"{text}: {ratio:.2f} of the report's latency, goal {MOST_APART:g}")
    return rows, flaws


def main() -> None:
    arguments = command_line(__doc__).parse_args()
    flaws, rows = list[str](), list[dict[str, object]]()
    print(
        f"{'space':<26}{'networks':>9}{'seconds':>9}{'python':>10}{'onnx':>10}   by torch / "
        f"from bytes, %   goal {MOST_ERROR:g}"
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        trained = {given.space.name: given for given in trained_networks(folder)}
        for title in SPACES:
            space = spaces.get(title, batch=8)
            row, missed = checked(title, trained.get(space.name, Given(space)), folder)
            rows.append(row)
            flaws += missed
        with chdir(folder):
            timed, missed = libraries()
        flaws += missed
    print("\n".join(f"MISSED {flaw}" for flaw in flaws) or "All goals are met.")
    write_result(
        arguments.json, {"networks": rows, "libraries": timed, "goal": MOST_ERROR, "missed": flaws}
    )
    sys.exit(bool(flaws))


if __name__ == "__main__":
    main()
