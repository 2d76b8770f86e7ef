"""What the networks of a supernet share, and what it costs to share it.

Random networks of every chain, fresh weights with norms that all differ, on random images. Checked:

- A network that is extracted, run in the tree of prefixes, and exported and loaded into
  `space.build(row)` gives the same logits, bit for bit. Exports hold safetensors and ONNX for the
  smallest network; of all others the safetensors alone are written, which is what `load` reads.
- In training mode the supernet gives what the extracted network gives, bit for bit; gradients of
  shared tensors are that network's inside its windows, and exactly 0 outside.
- There is one tensor for each name, as large as the largest of any workload; one head and one stem.

Then it times passes forth and back, in training mode, through the supernet and through the same
network as a plain module of its own, by turns. Windows take the difference: they are made, and
gradients are written into zeros of the size of the shared tensor. That is some twenty microseconds
for each tensor, whatever its size, so it shows where passes are short. Times are those of the one
thread that runs, not of the clock, so that other processes disturb them less.

One thread. Exits with 1 if a goal is missed.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scripts import command_line, write_result
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from tailorbird import spaces
from tailorbird.export.about import About
from tailorbird.export.destination import Destination
from tailorbird.export.network import load, save
from tailorbird.spaces import IntArray, Piece
from tailorbird.spaces.chains import Chain
from tailorbird.training import SharedNetwork, Split, Trained
from tailorbird.training.shared.network import fresh
from tailorbird.training.shared.prefixes import Prefixes

CHAINS: dict[str, dict[str, object]] = {
    "digits-elastic": {},
    "cifar-elastic": {},
    "macro-mobilenetv2": {},
    "fbnet": {},
    "ofa-mobilenetv3": {"resolution": 96},
    "elastic-vit": {"resolution": 64},
    "mobile-elastic": {"resolution": 64},
    "regnet": {"resolution": 64},
}
TIMED = {"digits-elastic": (10, 60), "cifar-elastic": (6, 12)}
"""Networks that are timed, and passes of each."""

LARGEST_DIFFERENCE, LARGEST_SHARE = 1e-6, 0.03
CALIBRATED, IMAGES, BATCH = 8, 4, 50


@dataclass(frozen=True)
class Window:
    """A parameter of a network in its shared tensor."""

    name: str
    shared: nn.Parameter
    part: tuple[slice | Tensor, ...]


def chain(name: str, batch: int) -> Chain:
    space = spaces.get(name, batch=batch, **CHAINS[name])
    assert isinstance(space, Chain)
    return space


def rows_of(space: Chain, n: int) -> IntArray:
    """The smallest network and random ones, each once."""
    drawn = space.sample(4 * n, np.random.default_rng(0))
    rows = np.concatenate([space.landmarks[:1], drawn]).tolist()
    return np.array([*dict.fromkeys(map(tuple, rows))][:n])


def random_images(space: Chain, n: int, seed: int) -> Split:
    rng = np.random.default_rng(seed)
    images = rng.standard_normal((n, *space.input_shape[1:]), dtype=np.float32)
    return Split(images, rng.integers(10, size=n))


def varied(space: Chain) -> SharedNetwork:
    """Fresh weights, but that those of norms differ."""
    network = fresh(space, 0)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim == 1:
                parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.3)
    return network


def windows_of(network: SharedNetwork, route: Sequence[Piece]) -> list[Window]:
    """Windows by their rule: first indices, of queries, keys and values each, centre of kernels."""
    found = []
    for i, piece in enumerate(route):
        with torch.device("meta"):
            module = piece.workload.build()
        for name, parameter in module.named_parameters():
            shared = network.get_parameter(f"parts.{piece.weights}.{name}")
            owner = module.get_submodule(name.rpartition(".")[0])
            n_outer = 2 if isinstance(owner, _ConvNd) else parameter.ndim
            sizes = zip(parameter.shape, shared.shape, strict=True)
            firsts = [(m - n) // 2 if axis >= n_outer else 0 for axis, (n, m) in enumerate(sizes)]
            part: list[slice | Tensor] = [
                slice(at, at + n) for at, n in zip(firsts, parameter.shape, strict=True)
            ]
            if ".qkv." in name:
                rows = torch.arange(len(shared)).reshape(3, -1)
                part[0] = rows[:, : len(parameter) // 3].flatten()
            found.append(Window(f"{i}.{name}", shared, tuple(part)))
    return found


def n_other_tensors(space: Chain, network: SharedNetwork) -> int:
    """Shared tensors that are not one for each name, elementwise the largest; 0 is right."""
    largest: dict[str, tuple[int, ...]] = {}
    for piece in space.pieces:
        with torch.device("meta"):
            parameters = [*piece.workload.build().named_parameters()]
        for name, parameter in parameters:
            key, shape = f"parts.{piece.weights}.{name}", tuple(parameter.shape)
            largest[key] = tuple(map(max, largest.get(key, shape), shape))
    shared = {(name, tuple(p.shape)) for name, p in network.named_parameters()}
    return len(shared ^ {*largest.items()})


def n_ends(space: Chain, rows: IntArray) -> tuple[int, int]:
    """Numbers of names of first and of last pieces."""
    routes = [space.route(row) for row in rows]
    return len({route[0].weights for route in routes}), len({route[-1].weights for route in routes})


def n_unlike(trained: Trained, rows: IntArray) -> dict[str, int]:
    """Networks whose logits differ from those of the tree of prefixes in any bit."""
    space = trained.space
    assert isinstance(space, Chain)
    x = random_images(space, IMAGES, 2).batch(np.arange(IMAGES))
    routes = [space.route(row) for row in rows]
    together = dict(Prefixes(trained.network, routes, trained._calibration()).outputs(x))
    unlike = {"extracted": 0, "exported": 0}
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        for i, (row, route) in enumerate(zip(rows, routes, strict=True)):
            network, file = trained.extract(row), Path(folder) / f"{i}.safetensors"
            save(network, About(space, row), Destination.at(file, ()))
            loaded = load(file, space)
            unlike["extracted"] += not torch.equal(network(x), together[route])
            unlike["exported"] += not torch.equal(loaded(x), together[route])
    return unlike


def gradients(trained: Trained, rows: IntArray) -> dict[str, float]:
    """Largest difference of gradients inside windows, and how many outside are not 0."""
    space, network = trained.space, trained.network
    split = random_images(trained.space, IMAGES, 3)  # type: ignore[arg-type]  # it is a chain
    x, labels = split.batch(np.arange(IMAGES)), torch.from_numpy(split.labels)
    n_unlike, largest, n_outside = 0, 0.0, 0
    for row in rows:
        alone, route = trained.extract(row).train(), space.route(row)
        network.train().zero_grad()
        logits = [network(x, route), alone(x)]
        n_unlike += not torch.equal(*logits)
        for y in logits:
            nn.functional.cross_entropy(y, labels).backward()  # type: ignore[no-untyped-call]  # torch's
        inside: dict[Tensor, Tensor] = {}
        for window in windows_of(network, route):
            own, shared = alone.get_parameter(window.name).grad, window.shared.grad
            assert own is not None
            assert shared is not None
            scale = max(1.0, float(own.abs().max()))
            largest = max(largest, float((shared[window.part] - own).abs().max()) / scale)
            mask = inside.setdefault(window.shared, torch.zeros_like(shared, dtype=torch.bool))
            mask[window.part] = True
        for parameter in network.parameters():
            if parameter.grad is not None:
                outside = ~inside[parameter] if parameter in inside else slice(None)
                n_outside += int(parameter.grad[outside].count_nonzero())
    network.eval()
    return {"in_training": n_unlike, "largest_difference": largest, "n_outside": n_outside}


def seconds_of(
    ways: Sequence[Callable[[], object]], n: int, reset: Callable[[], None]
) -> list[float]:
    """Median seconds of each way, run by turns."""
    times: list[list[float]] = [[] for _ in ways]
    for i in range(n + 3):
        for number in range(len(ways))[:: 1 if i % 2 else -1]:
            reset()
            begin = time.thread_time()
            ways[number]()
            times[number].append(time.thread_time() - begin)
    return [float(np.median(some[3:])) for some in times]


def slicing(name: str, n_networks: int, n_passes: int) -> dict[str, object]:
    """Time that windows take in a pass, as a fraction of that of a plain network."""
    space = chain(name, BATCH)
    network = varied(space).train()
    x = random_images(space, BATCH, 0).batch(np.arange(BATCH))
    found = []
    for row in rows_of(space, n_networks):
        route = space.route(row)
        plain = nn.Sequential(*map(network.module_of, route)).train()

        def reset(plain: nn.Module = plain) -> None:
            for module in (network, plain):
                module.zero_grad()

        ways = (
            lambda route=route: network(x, route).square().mean().backward(),
            lambda plain=plain: plain(x).square().mean().backward(),
        )
        shared_s, alone_s = seconds_of(ways, n_passes, reset)
        n_windows = sum(
            tuple(window.shared[window.part].shape) != tuple(window.shared.shape)
            for window in windows_of(network, route)
        )
        found.append((shared_s * 1e3, alone_s * 1e3, n_windows))
    shared_ms, alone_ms, windows = (np.array(column) for column in zip(*found, strict=True))
    return {
        "shared_ms": shared_ms.tolist(),
        "alone_ms": alone_ms.tolist(),
        "n_windows": windows.tolist(),
        "share": float(shared_ms.sum() / alone_ms.sum() - 1),
        "us_of_a_window": float((shared_ms - alone_ms).sum() / max(1, windows.sum()) * 1e3),
    }


def shared(name: str, n_networks: int) -> dict[str, object]:
    """What is checked of one chain."""
    space = chain(name, 2)
    rows = rows_of(space, n_networks)
    trained = Trained(space, varied(space), random_images(space, CALIBRATED, 1))
    n_stems, n_heads = n_ends(space, rows)
    return {
        "n_networks": len(rows),
        "n_other_tensors": n_other_tensors(space, trained.network),
        "n_stems": n_stems,
        "n_heads": n_heads,
        **n_unlike(trained, rows),
        **gradients(trained, rows),
    }


def missed(name: str, found: dict[str, object], cost: dict[str, object] | None) -> list[str]:
    """Goals that a chain misses, each as a line."""
    zero = ("extracted", "exported", "in_training", "n_outside", "n_other_tensors")
    lines = [f"{name}: {key} is {found[key]}, not 0" for key in zero if found[key]]
    lines += [f"{name}: {k} is {found[k]}, not 1" for k in ("n_stems", "n_heads") if found[k] != 1]
    difference = found["largest_difference"]
    assert isinstance(difference, float)
    if difference > LARGEST_DIFFERENCE:
        lines.append(f"{name}: gradients differ by {difference:.2g} > {LARGEST_DIFFERENCE:g}")
    if cost is not None:
        share = cost["share"]
        assert isinstance(share, float)
        if share > LARGEST_SHARE:
            lines.append(f"{name}: windows take {share:.1%} of a pass > {LARGEST_SHARE:.0%}")
    return lines


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--networks", type=int, default=50, help="of each chain")
    parser.add_argument("--chain", choices=CHAINS, action="append", help="these alone")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    result: dict[str, object] = {}
    lines: list[str] = []
    for name in arguments.chain or CHAINS:
        begin = time.perf_counter()
        found = shared(name, arguments.networks)
        cost = slicing(name, *TIMED[name]) if name in TIMED else None
        result[name] = {**found, "slicing": cost}
        print(f"\n{name}: {found['n_networks']} networks, {time.perf_counter() - begin:.0f} s")
        for key, value in found.items():
            print(f"  {key:<20} {value:g}")
        if cost is not None:
            print(f"  {'share of windows':<20} {cost['share']:.1%}")
            print(f"  {'µs of a window':<20} {cost['us_of_a_window']:.1f}")
            ms = zip(cost["shared_ms"], cost["alone_ms"], cost["n_windows"], strict=True)  # type: ignore[call-overload]  # lists
            for one in ms:
                print("    {:8.2f} ms for {:8.2f} ms alone, {} windows".format(*one))
        lines += missed(name, found, cost)
    write_result(arguments.json, result)
    for line in lines:
        print(f"MISSED {line}")
    sys.exit(bool(lines))


if __name__ == "__main__":
    main()
