"""Speed of training and of evaluation, against plain loops of torch on the same network.

One network of each task learns by `fit`, and is evaluated by `Trained.evaluate`, as recipes do; and
by a loop of a page as anyone would write it: the same modules, optimizer, schedule, clipping,
batch, augmentation, threads and precision. Digits and CIFAR-10 as JPEG lie in memory, for the plain
loop as tensors that it slices; the pictures of DeiT-Ti, JPEGs of 500 x 375 pixels that this script
makes, are decoded by timm's loader, with the best of 0, 1 and 2 workers, and here with as many as a
recipe has that does not say. Both calibrate batch norms before they evaluate, the plain loop with
torch's `update_bn`, and both pictures are cut out and resized by timm.

Rounds of both alternate, and the figure is the median of the ratios of their speeds, each in images
a second that the network learned from, or is right or wrong about. Exits with 1 if one is below
0.95. Nothing else should run on the machine; a quarter of an hour. With --device cuda the tasks are
ResNet-50 and DeiT-S in bf16.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
import torch.nn.functional as F
from scripts import command_line, write_result
from scripts.image_arrays import drawn_of
from scripts.picture_folder import make_pictures
from timm.data.dataset_factory import create_dataset
from timm.data.loader import create_loader
from torch import Tensor, nn, optim
from torch.optim.swa_utils import update_bn

from tailorbird import spaces
from tailorbird.spaces import IntArray, SharedSpace
from tailorbird.spaces.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing
from tailorbird.spaces.shared import HasPieces, smallest_and_largest
from tailorbird.training import Dataset, Trained
from tailorbird.training.checkpoint import Checkpoint
from tailorbird.training.compute import PRECISIONS, Compute
from tailorbird.training.data import cifar10, digits
from tailorbird.training.data.image_source import ImageSource, load
from tailorbird.training.distillation import labels_only
from tailorbird.training.finetuning.one_network import OneNetwork
from tailorbird.training.fit import Schedule, fit
from tailorbird.training.optimization import Optimization
from tailorbird.training.shared.learning import groups_of
from tailorbird.training.shared.network import fresh

GOAL = 0.95
RATE = 1e-3
CROP = 0.875
CALIBRATED = 1_000
N_CIFAR = 2_000
WORKERS = (0, 1, 2)

Run = Callable[[], int]
"""Trains or evaluates once; returns the number of images that it did so on."""


@dataclass(frozen=True)
class Task:
    """What both sides do.

    Attributes:
        name: of the data and network.
        network: the one that learns.
        data: that it learns from.
        batch: batch size.
        epochs: of a round.
        compute: device and precision.
        folder: of pictures; None if images are in memory.
    """

    name: str
    network: OneNetwork
    data: Dataset
    batch: int
    epochs: int
    compute: Compute
    folder: Path | None = None

    @property
    def device(self) -> torch.device:
        return self.compute.torch_device

    def wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()


class Ours:
    """The library, as recipes use it."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.network = fresh(task.network, 0).to(task.device)
        self.trained = Trained(task.network, self.network, task.data.train, compute=task.compute)

    def fit(self) -> int:
        task, route = self.task, self.task.network.route(self.task.network.row)
        with tempfile.TemporaryDirectory() as folder:
            names = [piece.weights for piece in task.network.pieces]
            updates = fit(
                self.network,
                groups_of(
                    self.network,
                    task.network.pieces,
                    dict.fromkeys(("embedding", "block", "stitch", "head"), RATE),
                ),
                lambda step, x, labels: (labels_only(self.network(x, route), labels, x),),
                task.data,
                Schedule(task.epochs, task.batch, 0),
                Optimization(),
                task.compute,
                Checkpoint(Path(folder) / "c.safetensors", "speed", names),
                lambda epoch: None,
            )
        assert updates is not None
        return min(updates.counts.values()) * task.batch

    def evaluate(self) -> int:
        (accuracy,) = self.trained.evaluate(self.task.network.row[None], self.task.data.test)
        self.n_right = round(accuracy * len(self.task.data.test.labels))
        return len(self.task.data.test.labels)


class Plain:
    """A loop of torch, and timm's loader for pictures."""

    def __init__(self, task: Task, n_workers: int) -> None:
        self.task, self.n_workers = task, n_workers
        shared = fresh(task.network, 0)
        modules = [shared.module_of(piece) for piece in task.network.route(task.network.row)]
        self.network = nn.Sequential(*modules).to(task.device)

    def autocast(self) -> torch.autocast:
        precision = self.task.compute.precision
        kind, dtype = self.task.device.type, PRECISIONS[precision]
        return torch.autocast(kind, dtype, enabled=precision != "f32")

    def fit(self) -> int:
        task = self.task
        parameters = [*self.network.parameters()]
        optimizer = optim.AdamW(parameters, lr=RATE, weight_decay=1e-2, fused=True)
        n_steps = task.epochs * (len(task.data.train.labels) // task.batch)
        rates = optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=n_steps + 1)
        self.network.train()
        n = 0
        for epoch in range(task.epochs):
            for x, labels in self.training_batches(epoch):
                optimizer.zero_grad()
                with self.autocast():
                    loss = F.cross_entropy(self.network(x), labels)
                loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it so
                nn.utils.clip_grad_norm_(parameters, 5.0)
                optimizer.step()
                rates.step()
                n += len(x)
            loss.item()  # told after each epoch
        return n

    @torch.no_grad()
    def evaluate(self) -> int:
        with self.autocast():
            update_bn(self.calibration, self.network)
            self.network.eval()
            right = n = 0
            for x, labels in self.test_batches():
                right += int((self.network(x).argmax(dim=1) == labels).sum())
                n += len(x)
        self.n_right = right
        return n

    def training_batches(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        if self.task.folder is not None:
            yield from self.loader("train", is_training=True, batch=self.task.batch)
            return
        images, labels = self.tensors("train")
        generator = torch.Generator().manual_seed(epoch)
        order = torch.randperm(len(images), generator=generator)
        for index in torch.split(order, self.task.batch):
            if len(index) == self.task.batch:
                x = self.task.data.augment(images[index], generator)
                yield x.to(self.task.device), labels[index].to(self.task.device)

    def test_batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        if self.task.folder is not None:
            yield from self.loader("test", is_training=False, batch=50)
            return
        images, labels = self.tensors("test")
        for x, y in zip(torch.split(images, 250), torch.split(labels, 250), strict=True):
            yield x.to(self.task.device), y.to(self.task.device)

    @cached_property
    def calibration(self) -> Sequence[Tensor]:
        """Training images for norms; none for networks without, and read once, as here."""
        if not any(isinstance(m, nn.BatchNorm2d) for m in self.network.modules()):
            return []
        if self.task.folder is None:
            images, _ = self.tensors("train")
            return [x.to(self.task.device) for x in torch.split(images[:CALIBRATED], 250)]
        loader = self.loader("train", is_training=False, batch=50)
        n_batches = CALIBRATED // 50
        return [x for (x, _), _ in zip(loader, range(n_batches), strict=False)]

    def tensors(self, split: str) -> tuple[Tensor, Tensor]:
        some = getattr(self.task.data, split)
        images = some.batch(np.arange(len(some.labels)))
        return images, torch.from_numpy(some.labels)

    def loader(
        self, split: str, *, is_training: bool, batch: int
    ) -> Iterator[tuple[Tensor, Tensor]]:
        task = self.task
        loader = create_loader(
            create_dataset("", str(task.folder), split=split),
            input_size=task.data.test.shape,  # type: ignore[arg-type]  # three
            batch_size=batch,
            is_training=is_training,
            use_prefetcher=True,
            color_jitter=0.0,
            interpolation="bicubic",
            crop_pct=CROP,
            mean=IMAGENET_MEAN,
            std=IMAGENET_STD,
            num_workers=self.n_workers,
            device=task.device,
            persistent_workers=False,
        )
        for x, labels in loader:
            yield x.contiguous(memory_format=torch.channels_last), labels


def of_space(name: str, row_of: Callable[[SharedSpace], IntArray]) -> OneNetwork:
    space = spaces.get(name, batch=1)
    assert isinstance(space, HasPieces)
    return OneNetwork(space, row_of(space))


def largest(space: SharedSpace) -> IntArray:
    row: IntArray = smallest_and_largest(space)[1]
    return row


def tasks(folder: Path, device: str, n_pictures: int) -> Iterator[Task]:
    """The tasks on a device, one at a time in memory."""
    if device == "cpu":
        compute = Compute()
        yield Task("digits", of_space("digits-elastic", largest), digits.load(), 50, 30, compute)
        cifar = of_space("cifar-elastic", largest)
        whole = cifar10.load_published()
        train, test = drawn_of(whole.train, N_CIFAR), drawn_of(whole.test, N_CIFAR // 2)
        yield Task("cifar", cifar, replace(whole, train=train, test=test), 50, 1, compute)
        networks = {"DeiT-Ti": of_space("deit-ti-s-b", lambda space: space.landmarks[0])}
        batch = 16
    else:
        compute = Compute(device, "bf16")
        networks = {
            "ResNet-50": of_space("resnet-18-50", lambda space: space.landmarks[-1]),
            "DeiT-S": of_space("deit-ti-s-b", lambda space: space.landmarks[1]),
        }
        batch = 128
    at = folder / f"pictures-{n_pictures}"
    n_of = {"train": n_pictures, "val": n_pictures, "test": n_pictures}
    make_pictures(at, n_of, (500, 375), 10)
    for name, network in networks.items():
        preprocessing = Preprocessing(network.input_shape[2:], CROP)  # type: ignore[arg-type]  # two
        data = load(ImageSource(str(at), preprocessing))
        yield Task(name, network, data, batch, 1, compute, at)


def images_a_second(task: Task, run: Run) -> float:
    task.wait()
    begun = time.perf_counter()
    n = run()
    task.wait()
    return n / (time.perf_counter() - begun)


def check_same(ours: Ours, plain: Plain) -> None:
    """Refuses sides of which one does less: other answers of the same weights, or fewer weights."""
    for side in (ours, plain):
        side.evaluate()
    n = len(ours.task.data.test.labels)
    if abs(ours.n_right - plain.n_right) > max(2, 0.01 * n):
        raise SystemExit(f"accuracies of the same weights differ: {ours.n_right}, {plain.n_right}")
    for side in (ours, plain):
        before = [p.detach().clone() for p in side.network.parameters()]
        side.fit()
        if any(torch.equal(a, b) for a, b in zip(before, side.network.parameters(), strict=True)):
            raise SystemExit(f"{type(side).__name__} does not change all weights")
        with torch.no_grad():
            for p, values in zip(side.network.parameters(), before, strict=True):
                p.copy_(values)


def compared(task: Task, repeats: int) -> dict[str, dict[str, float]]:
    """Speeds and the median ratio, of training and evaluation."""
    ours = Ours(task)
    plain = {n: Plain(task, n) for n in (WORKERS if task.folder is not None else (0,))}
    check_same(ours, plain[0])
    found = {}
    for what in ("fit", "evaluate"):
        own = getattr(ours, what)
        own()  # the first is slower
        speeds = {}
        for n, side in plain.items():
            run = getattr(side, what)
            run()
            speeds[n] = images_a_second(task, run) if len(plain) > 1 else 0.0
        best = max(speeds, key=speeds.__getitem__)
        run = getattr(plain[best], what)
        rounds = [(images_a_second(task, own), images_a_second(task, run)) for _ in range(repeats)]
        found[what] = {
            "ours": float(np.median([speed for speed, _ in rounds])),
            "plain": float(np.median([speed for _, speed in rounds])),
            "plain_workers": best,
            "ratio": float(np.median([speed / other for speed, other in rounds])),
        }
    return found


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--pictures", type=int, default=64, help="of each split")
    parser.add_argument("--tasks", nargs="*", help="names of those to run; all if left out")
    parser.add_argument("--folder", type=Path, default=Path("runs/bench/training_speed"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    result, missed = {}, []
    print(f"{'':<12}{'':<10}  ours, images/s   plain, images/s   workers   ratio   goal {GOAL:g}")
    for task in tasks(arguments.folder, arguments.device, arguments.pictures):
        if arguments.tasks and task.name not in arguments.tasks:
            continue
        found = result[task.name] = compared(task, arguments.repeats)
        for what, figures in found.items():
            print(
                f"{task.name:<12}{what:<10}{figures['ours']:15.1f}{figures['plain']:18.1f}"
                f"{figures['plain_workers']:10d}{figures['ratio']:8.3f}",
                flush=True,
            )
            if not figures["ratio"] >= GOAL:
                missed.append(f"{task.name} {what}: {figures['ratio']:.3f}, goal {GOAL:g}")
    write_result(arguments.json, {"device": arguments.device, "goal": GOAL, "tasks": result})
    for line in missed:
        print(f"MISSED {line}")
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
