"""What it saves to evaluate routes together, so that what they have in common runs once.

All routes of a space are evaluated together, and one by one, on the same batches with the same
calibration of norms. Routes in the order of the tree are cut into chunks, which are timed in both
ways by turns, so that drift of the machine hits both. All chunks together give the measured
speed-up. It is compared with what sharing allows: parts that run one by one over parts that run
once, for the same chunks. That takes all parts for equally slow; where long routes end in wide
blocks, which they do not share, no implementation can get there. So the same ratio is also given
with each part weighted by its multiply-adds, and by the time that it takes by itself.

Weights are fresh, images real where there are some. One thread. Nothing else should run on the
machine. Exits with 1 if any output differs in a bit.
"""

import hashlib
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import torch
from numpy.typing import NDArray
from scripts import command_line, write_result
from scripts.image_arrays import some_of

from tailorbird import spaces
from tailorbird.errors import RecipeError
from tailorbird.published.data_folder import data_folder
from tailorbird.spaces import IntArray
from tailorbird.spaces.footprint import n_macs
from tailorbird.spaces.stitching import Part, StitchSpace
from tailorbird.training import Split, Trained
from tailorbird.training.data import cifar10, digits
from tailorbird.training.shared.network import SharedNetwork

CALIBRATED = 100
LARGEST_CHUNK = 600
WARM_UP = 8
REPEATS = 9

Route = tuple[Part, ...]


@dataclass(frozen=True)
class Chunk:
    """Some rows of a space that are neighbours in the tree of routes."""

    X: IntArray
    routes: list[Route]

    @property
    def alone(self) -> list[Part]:
        """Parts that run one by one."""
        return [part for route in self.routes for part in route]

    @property
    def shared(self) -> list[Part]:
        """The last part of each distinct beginning."""
        beginnings = {route[:n] for route in self.routes for n in range(1, len(route) + 1)}
        return [beginning[-1] for beginning in beginnings]


class Digests:
    """A score that remembers each array of outputs it sees."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __call__(self, outputs: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
        self.seen.append(hashlib.sha256(outputs.tobytes()).hexdigest())
        return float((outputs.argmax(axis=1) == labels).mean())


def chunks_of(space: StitchSpace, n_routes: int | None) -> list[Chunk]:
    """Cut between anchors that routes start in, and where there would be too many."""
    X = np.concatenate(list(space.enumerate()))
    pairs = sorted((space.parts_of(row), tuple(row.tolist())) for row in X)[:n_routes]
    chunks = []
    for _, group in groupby(pairs, key=lambda pair: pair[0][0]):
        members = list(group)
        n = -(-len(members) // LARGEST_CHUNK)
        for index in np.array_split(np.arange(len(members)), n):
            some = [members[i] for i in index]
            chunks.append(Chunk(np.array([row for _, row in some]), [route for route, _ in some]))
    return chunks


def splits_of(name: str, n_images: int) -> tuple[Split, Split, str]:
    """For calibration and for evaluation."""
    if name == "digits-resnet":
        dataset = digits.load()
    else:
        try:
            dataset = cifar10.load(data_folder())
        except RecipeError:
            rng = np.random.default_rng(0)
            images = rng.standard_normal((CALIBRATED + n_images, 3, 32, 32), dtype=np.float32)
            labels = rng.integers(10, size=len(images))
            halves = slice(CALIBRATED), slice(CALIBRATED, None)
            train, split = (Split(images[half], labels[half]) for half in halves)
            return train, split, "random images"
    known, validation = dataset.train, dataset.validation
    return some_of(known, CALIBRATED), some_of(validation, n_images), dataset.name


def macs_of(space: StitchSpace) -> dict[Part, int]:
    with torch.device("meta"):
        of_workload = {w: n_macs(w.build().eval(), w.inputs) for w in space.workloads}
    return {part: of_workload[space.workload(part)] for part in space.parts}


def seconds_of(space: StitchSpace, sizes: Sequence[tuple[int, bool]]) -> dict[Part, float]:
    """Of each part by itself, on batches of these sizes in training mode or not, one after another.

    Norms average what they see once, as those of shared beginnings do.
    """
    found = {}
    for workload in space.workloads:
        module = workload.build()
        for norm in module.modules():
            if isinstance(norm, torch.nn.BatchNorm2d):
                norm.momentum = None
        total = 0.0
        for size, training in sizes:
            x = torch.randn(size, *workload.inputs[0][1:]).contiguous(
                memory_format=torch.channels_last
            )
            module.train(training)
            times = []
            for _ in range(1 + REPEATS):
                begin = time.perf_counter()
                with torch.no_grad():
                    module(x)
                times.append(time.perf_counter() - begin)
            total += float(np.median(times[1:]))
        found[workload] = total
    return {part: found[space.workload(part)] for part in space.parts}


def ratio(chunks: Sequence[Chunk], cost: Mapping[Part, float]) -> float:
    """Costs of parts that run one by one over costs of parts that run once."""
    alone = sum(cost[part] for chunk in chunks for part in chunk.alone)
    return alone / sum(cost[part] for chunk in chunks for part in chunk.shared)


def measure(name: str, n_images: int, n_routes: int | None) -> dict[str, object]:
    space = spaces.get(name)
    assert isinstance(space, StitchSpace)
    train, split, data = splits_of(name, n_images)
    torch.manual_seed(0)
    network = SharedNetwork(space)
    together, alone = Digests(), Digests()
    at_once = Trained(space, network, train, together)
    one_by_one = Trained(space, network, train, alone)
    chunks = chunks_of(space, n_routes)
    sizes = (len(train.labels), True), (len(split.labels), False)

    first = chunks[0].X[:WARM_UP]  # whatever torch makes ready at its first use
    at_once.evaluate(first, split)
    one_by_one.evaluate(first[:1], split)
    together.seen.clear()
    alone.seen.clear()

    def run_together(chunk: Chunk) -> None:
        at_once.evaluate(chunk.X, split)

    def run_alone(chunk: Chunk) -> None:
        for row in chunk.X:
            one_by_one.evaluate(row[None], split)

    together_s: list[float] = []
    alone_s: list[float] = []
    for i, chunk in enumerate(chunks):
        ways = [(run_together, together_s), (run_alone, alone_s)]
        for way, seconds in ways if i % 2 else ways[::-1]:
            begin = time.perf_counter()
            way(chunk)
            seconds.append(time.perf_counter() - begin)

    n_parts = sum(len(chunk.alone) for chunk in chunks)
    n_prefixes = sum(len(chunk.shared) for chunk in chunks)
    by_count = n_parts / n_prefixes
    by_macs = ratio(chunks, macs_of(space))
    by_time = ratio(chunks, seconds_of(space, sizes))
    measured = sum(alone_s) / sum(together_s)
    n = sum(len(chunk.X) for chunk in chunks)
    equal = len(together.seen) == n and together.seen == alone.seen
    print(
        f"\n{name}: {n} of {space.size} routes in {len(chunks)} chunks, {len(split.labels)} images"
    )
    print(f"  images                        {data}, {len(train.labels)} more for calibration")
    print(f"  parts, one by one             {n_parts}")
    print(f"  distinct beginnings           {n_prefixes}")
    print(f"  speed-up that count allows    {by_count:.2f}")
    print(f"  speed-up that MACs allow      {by_macs:.2f}")
    print(f"  speed-up that time allows     {by_time:.2f}")
    print(
        f"  speed-up measured             {measured:.2f}: {measured / by_count:.0%} of count's, "
        f"{measured / by_macs:.0%} of MACs', {measured / by_time:.0%} of time's"
    )
    print(f"  seconds, one by one           {sum(alone_s):.1f}")
    print(f"  seconds, together             {sum(together_s):.1f}")
    print(f"  outputs equal bit for bit     {'yes' if equal else 'NO'}")
    return {
        "data": data,
        "n_images": len(split.labels),
        "n_routes": n,
        "n_parts_alone": n_parts,
        "n_prefixes": n_prefixes,
        "allowed_by_count": by_count,
        "allowed_by_macs": by_macs,
        "allowed_by_time": by_time,
        "measured": measured,
        "share_of_count": measured / by_count,
        "share_of_macs": measured / by_macs,
        "share_of_time": measured / by_time,
        "alone_s": alone_s,
        "together_s": together_s,
        "n_routes_of_chunks": [len(chunk.X) for chunk in chunks],
        "equal_bit_for_bit": equal,
    }


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--digits-images", type=int, default=100)
    parser.add_argument("--images", type=int, default=250, help="for cifar-resnet")
    parser.add_argument("--routes", type=int, help="at most, of each space")
    parser.add_argument("--space", choices=("digits-resnet", "cifar-resnet"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    n_images = {"digits-resnet": arguments.digits_images, "cifar-resnet": arguments.images}
    if arguments.space:
        n_images = {arguments.space: n_images[arguments.space]}
    result = {name: measure(name, n, arguments.routes) for name, n in n_images.items()}
    write_result(arguments.json, result)
    differ = [name for name, found in result.items() if not found["equal_bit_for_bit"]]
    for name in differ:
        print(f"MISSED {name}: what is shared gives other accuracies than networks one by one")
    sys.exit(bool(differ))


if __name__ == "__main__":
    main()
