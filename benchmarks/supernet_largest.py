"""Supernets that start from a pretrained network: sorted against unsorted, and trained on.

The published ResNet-20 and ResNet-56 for CIFAR become the largest networks of elastic-resnet, with
channels inside blocks sorted by each importance, and unsorted. First nothing is trained: accuracy
on CIFAR-10 as JPEG (5,000 test images) with all, three quarters and half of the channels in every
block, and without the last block of each stage; and with unsorted channels, but the blocks of each
stage that have the same shapes in the order of their weights. Then the supernet is trained for a
few epochs, and four fixed sizes, extracted from it before, are trained on for a quarter of the
epochs each: as many passes of one network in all, the same images, optimizer and learning rate.

Exits with 1 if sorting by a default importance does not beat leaving channels as they are at 3/4
and 1/2, if networks that are trained together are worse on average than those that are trained
alone, or if sorting changes what the largest network of any space computes by more than 1e-5 of its
largest output, in float32 and with random weights and norms. Trained weights are kept in --folder
and picked up. Some 20 minutes for a seed on a quiet core.
"""

import copy
import os
import sys
from dataclasses import replace
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import numpy as np
import torch
from scripts import command_line, write_result
from scripts.seeds import cell, with_interval
from torch import nn

from tailorbird import spaces
from tailorbird.errors import ContractError
from tailorbird.progress import TerminalProgress
from tailorbird.published.data_folder import data_folder
from tailorbird.registry.importances import IMPORTANCES
from tailorbird.spaces import FloatArray, IntArray
from tailorbird.spaces.chains import Chain
from tailorbird.spaces.shared import smallest_and_largest
from tailorbird.training import (
    Dataset,
    Split,
    SupernetTraining,
    Trained,
    train_supernet,
)
from tailorbird.training.data import cifar10
from tailorbird.training.finetuning.one_network import OneNetwork
from tailorbird.training.shared.network import SharedNetwork, fresh
from tailorbird.training.supernet.importance import sort
from tailorbird.training.supernet.settings import IMPORTANCE
from tailorbird.training.supernet.train import started

FILES = {20: "resnet20-12fca82f.th", 56: "resnet56-4bfd9763.th"}
SHARES = (1.0, 0.75, 0.5, 0.25)
MOST_CHANGE = 1e-5
LEARNING_RATE = 2e-3
SPACES: dict[str, dict[str, object]] = {
    "digits-elastic": {},
    "cifar-elastic": {},
    "elastic-resnet": {"n_layers": 56},
    "macro-mobilenetv2": {},
    "ofa-mobilenetv3": {"resolution": 96},
    "elastic-vit": {"resolution": 32, "n_classes": 10},
    "mobile-elastic": {"resolution": 32, "n_classes": 10},
    "regnet": {"resolution": 32, "n_classes": 10},
    "fbnet": {},
}


def chain(name: str, **settings: object) -> Chain:
    space = spaces.get(name, batch=2, **settings)
    assert isinstance(space, Chain)
    return space


def change(space: Chain) -> float | None:
    """By how much sorting changes the largest network's outputs; None if it cannot be sorted."""
    network, rng = fresh(space, 0), np.random.default_rng(0)
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            size = 0.3 * float(parameter.abs().mean() + 0.1)
            parameter.add_(torch.randn_like(parameter), alpha=size)
    images = rng.standard_normal((8, *space.input_shape[1:]), dtype=np.float32)
    split = Split(images, np.zeros(8, dtype=np.int64))
    route = space.route(smallest_and_largest(space)[1])
    with torch.no_grad():
        before = network.train()(torch.from_numpy(images), route)
        try:
            sort(space, network, split, IMPORTANCE)
        except ContractError:
            return None
        after = network(torch.from_numpy(images), route)
    return float((after - before).abs().max() / before.abs().max())


def of_share(space: Chain, share: float) -> IntArray:
    """The deepest network with a share of the channels in every block."""
    row: IntArray = smallest_and_largest(space)[1].copy()
    for number, variable in enumerate(space.variables):
        if variable.name.startswith("inner"):
            row[number] = [float(choice) for choice in variable.choices].index(share)
    return row


def without_last_blocks(space: Chain) -> IntArray:
    """Networks of which one stage, and then all of them, have a block less, (n, d)."""
    largest = smallest_and_largest(space)[1]
    depths = [n for n, v in enumerate(space.variables) if v.name.startswith("depth")]
    rows = []
    for left_out in [*([n] for n in depths), depths]:
        row = largest.copy()
        row[left_out] = 0
        rows.append(row)
    return np.asarray(space.repair(np.array(rows)))


def untrained(n_layers: int, data: Dataset) -> dict[str, list[float]]:
    """Accuracies with all, 3/4 and 1/2 of the channels, and with fewer blocks, by importance."""
    space = chain("elastic-resnet", n_layers=n_layers)
    file = data_folder() / "resnet_cifar10_akamaster" / FILES[n_layers]
    X = np.vstack([*(of_share(space, s) for s in SHARES[:3]), without_last_blocks(space)])
    found = {}
    for importance in IMPORTANCES:
        settings = SupernetTraining(1, 0, largest=file, importance=importance)
        network, _ = started(space, data, settings)
        found[importance] = Trained(space, network, data.train).evaluate(X, data.test).tolist()
        if importance == "none":
            order_blocks(space, network)
            found["blocks"] = Trained(space, network, data.train).evaluate(X, data.test).tolist()
    return found


def order_blocks(space: Chain, network: SharedNetwork) -> None:
    """Puts the blocks of each stage that have the same shapes into the order of their weights."""
    stages: dict[str, list[nn.Module]] = {}
    for piece in space.route(smallest_and_largest(space)[1]):
        if piece.kind == "block":
            width = piece.workload.inputs[0][1], dict(piece.workload.params)["to"]
            stages.setdefault(str(width), []).append(network.parts[piece.weights])
    for blocks in stages.values():
        states = [copy.deepcopy(block.state_dict()) for block in blocks]
        sizes = [
            sum(float(p.detach().abs().sum()) for p in block.parameters() if p.ndim > 1)
            for block in blocks
        ]
        for block, number in zip(blocks, np.argsort(sizes)[::-1], strict=True):
            block.load_state_dict(states[number])


def trained_on(
    seed: int, epochs: int, data: Dataset, folder: Path
) -> tuple[FloatArray, FloatArray]:
    """Test accuracies of four sizes, trained together and each alone, (4,) each."""
    space = chain("elastic-resnet", n_layers=20)
    rates = dict.fromkeys(("embedding", "block", "head"), LEARNING_RATE)
    file = data_folder() / "resnet_cifar10_akamaster" / FILES[20]
    settings = SupernetTraining(epochs, seed, learning_rates=rates, largest=file)
    X = np.array([of_share(space, share) for share in SHARES])
    together = train_supernet(
        space, data, settings, folder / f"together-{seed}", TerminalProgress()
    )
    alone = []
    network: SharedNetwork = started(space, data, settings)[0]
    start = Trained(space, network, data.train)
    for share, row in zip(SHARES, X, strict=True):
        path = folder / f"start-{share}.pt"
        torch.save(start.extract(row).state_dict(), path)
        own = replace(
            settings,
            epochs=epochs // len(SHARES),
            routes="uniform",
            largest=path,
            importance="none",
        )
        one = train_supernet(
            OneNetwork(space, row), data, own, folder / f"alone-{seed}-{share}", TerminalProgress()
        )
        alone.append(one.evaluate(row[None], data.test)[0])
    return together.evaluate(X, data.test), np.array(alone)


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--epochs", type=int, default=8, help="of training on; 0 leaves it out")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--layers", type=int, choices=FILES, nargs="*", default=[*FILES])
    parser.add_argument("--folder", type=Path, default=Path("runs/bench/supernet_largest"))
    arguments = parser.parse_args()
    missed, result = [], dict[str, object]()

    print("largest change of outputs by sorting")
    changes = {name: change(chain(name, **settings)) for name, settings in SPACES.items()}
    for name, value in changes.items():
        print(
            f"  {name:<20} {'refused' if value is None else f'{value:.1e}'}  goal {MOST_CHANGE:g}"
        )
        if value is not None and not value <= MOST_CHANGE:
            missed.append(f"sorting {name} changes outputs by {value:.1e}")
    data = cifar10.load_published()
    for n_layers in arguments.layers:
        found = result[f"untrained {n_layers}"] = untrained(n_layers, data)
        print(f"\nResNet-{n_layers}, untrained: all, 3/4, 1/2; a block less in stage 1, 2, 3, all")
        for importance, values in found.items():
            print(f"  {importance:<8}" + "".join(f"{100 * value:7.1f}" for value in values))
        for place, part in ((1, "3/4"), (2, "1/2")):
            if not found[IMPORTANCE][place] > found["none"][place]:
                missed.append(f"ResNet-{n_layers} at {part}: sorted is not better than unsorted")
    if arguments.epochs:
        made = [
            trained_on(seed, arguments.epochs, data, arguments.folder / f"{arguments.epochs}")
            for seed in range(arguments.seeds)
        ]
        together, alone = np.array(made).transpose(1, 0, 2)
        print(f"\nResNet-20, {arguments.epochs} epochs in all: channels, together, alone")
        for number, share in enumerate(SHARES):
            sides = [with_interval(side[:, number]) for side in (together, alone)]
            print(f"  {share:<5}" + "  ".join(map(cell, sides)))
        gain = with_interval((together - alone).mean(axis=1))
        print(f"  together less alone, mean: {cell(gain)} goal >= 0")
        result["trained"] = {"together": together.tolist(), "alone": alone.tolist(), "gain": gain}
        if not gain["mean"] >= 0:
            missed.append(f"together is worse than alone by {-100 * gain['mean']:.2f} points")
    write_result(arguments.json, result | {"changes": changes, "missed": missed})
    for line in missed:
        print(f"MISSED {line}")
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
