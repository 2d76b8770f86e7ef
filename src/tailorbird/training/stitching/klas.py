"""Choice of the places of stitches by how little they change what anchors answer."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tailorbird.errors import ContractError
from tailorbird.progress import Progress
from tailorbird.spaces import FloatArray, IntArray
from tailorbird.spaces.footprint import count_macs
from tailorbird.spaces.stitching import EveryPlace, Places, StitchSpace
from tailorbird.spaces.stitching.family import parts_of
from tailorbird.spaces.stitching.places import Place
from tailorbird.spaces.stitching.stitch import Reach
from tailorbird.storage.tensors import write
from tailorbird.training.compute import CPU, Compute
from tailorbird.training.data.arrays import Split
from tailorbird.training.data.dataset import Dataset
from tailorbird.training.data.images import LabelledImages, inputs
from tailorbird.training.shared.learning import identity
from tailorbird.training.shared.network import SharedNetwork, fresh
from tailorbird.training.shared.trained import Trained
from tailorbird.training.stitching.least_squares import initialise_stitches
from tailorbird.training.stitching.origins import decided_by
from tailorbird.training.stitching.settings import RULES, Training
from tailorbird.training.stitching.train import trained_anchors

_VERSION = "klas-1"
_TOGETHER = 32  # places


def load_places(
    space: StitchSpace,
    dataset: Dataset,
    settings: Training,
    folder: Path,
    reach: Reach = "neighbours",
) -> Places | None:
    """Loads what `choose_places` chose with the same arguments; None if there is no such thing."""
    ranks = settings.compute.ranks
    content = ranks.read(folder / "places.safetensors", _identity(space, dataset, settings, reach))
    if content is None:
        return None
    tensors, _ = content
    return Places(tuple((a, i, b, j) for a, i, b, j in tensors["places"].tolist()))


def choose_places(
    space: StitchSpace,
    dataset: Dataset,
    settings: Training,
    folder: Path,
    progress: Progress,
    reach: Reach = "neighbours",
) -> Places:
    """Places of stitches from anchors to larger ones, evenly spread over multiply-adds.

    Anchors are trained alone, or loaded. Every place on an equal grid gets a stitching layer by
    least squares. Between two anchors the multiply-adds are parted into as many equal ranges as the
    smaller one has blocks; in each, the place is chosen whose network is nearest to what the larger
    anchor answers, by the mean Kullback-Leibler divergence over images. Ranges without a place stay
    empty.

    Args:
        space: of the anchors; its stitches do not matter.
        dataset: its training images are looked at, `stitch_images` of them.
        settings: of training.
        folder: for anchors and places.
        progress: counts epochs of anchors.
        reach: which anchors are joined.

    Raises:
        ContractError: if there is no place for a stitch, or `trained_anchors` refuses.
        TrainingError: if training diverges, or activations are not finite.

    References:
        KLAS: Using Similarity to Stitch Neural Networks for Improved Accuracy-Efficiency
        Tradeoffs. ICLR 2026; there, divergences are of intermediate representations.
    """
    candidates = _candidates(space, reach)
    network = trained_anchors(space, dataset, settings, folder, progress)
    anchors = {n: v for n, v in network.state_dict().items() if not n.startswith("parts.stitch")}
    found = list[float]()
    # A few at a time: factors of all least-squares problems would not fit into memory.
    for first in range(0, len(candidates), _TOGETHER):
        few = space.with_stitches(Places(candidates[first : first + _TOGETHER])).with_at_most(1)
        joined = fresh(few, settings.seed)
        joined.load_state_dict(anchors, strict=False)
        joined.to(settings.compute.torch_device)
        found += divergences(
            few, joined, dataset.train, settings.stitch_images, settings.compute
        ).tolist()
    ranges = _by_range(space, candidates)
    places = Places(tuple(candidates[min(of, key=found.__getitem__)] for of in ranges))
    if settings.compute.ranks.is_first:
        made_with = {"identity": _identity(space, dataset, settings, reach)}
        tensors = {"places": torch.tensor(places.chosen, dtype=torch.int64).reshape(-1, 4)}
        write(folder / "places.safetensors", tensors, made_with)
    # Ranks may differ in rounding, and so in what they choose.
    return load_places(space, dataset, settings, folder, reach) or places


def some_places(space: StitchSpace, reach: Reach = "neighbours") -> Places:
    """Places as many as `choose_places` chooses, which no anchor was asked about.

    Raises:
        ContractError: if there is none.
    """
    candidates = _candidates(space, reach)
    return Places(tuple(candidates[of[0]] for of in _by_range(space, candidates)))


def divergences(
    space: StitchSpace,
    network: SharedNetwork,
    train: LabelledImages,
    n_images: int,
    compute: Compute = CPU,
) -> FloatArray:
    """Divergence (n_stitches,) of what networks with one stitch answer from its target anchor.

    Args:
        space: whose stitches are looked at.
        network: with trained anchors; its stitching layers are set by least squares.
        train: images, which are not augmented.
        n_images: how many of them are looked at.
        compute: device that the network is on.
    """
    initialise_stitches(space, network, train, n_images)
    order = np.random.default_rng(0).permutation(len(train.labels))[:n_images]
    some = Split(inputs(train, order).contiguous().numpy(), train.labels[order])
    plain = Trained(space, network, train, compute=compute)
    found = np.empty(len(space.stitches))
    targets = np.array([stitch.target for stitch in space.stitches])
    for target in np.unique(targets):
        p = _log_probabilities(plain.outputs(space.landmarks[target], some))

        def likeness(outputs: NDArray[np.float32], labels: IntArray, p: Tensor = p) -> float:
            """Exponential of the negative divergence, which lies between 0 and 1."""
            q = _log_probabilities(outputs)
            found = nn.functional.kl_div(q, p, reduction="batchmean", log_target=True)
            return float(found.clamp(min=0).neg().exp())

        trained = Trained(space, network, train, likeness, compute)
        of_target = targets == target
        with np.errstate(divide="ignore"):  # as unlike as can be told
            found[of_target] = -np.log(trained.evaluate(space.crossings[of_target], some))
    return found


def _identity(space: StitchSpace, dataset: Dataset, settings: Training, reach: Reach) -> str:
    """Text of all that decides places; another family of the same name has other workloads."""
    family, anchors = space.family, range(len(space.family.anchors))
    workloads = [family.workload(part).key for a in anchors for part in parts_of(family, a)]
    decides = {
        "anchors": [RULES, *(decided_by(family, settings, anchor) for anchor in anchors)],
        "workloads": hashlib.sha256(repr(workloads).encode()).hexdigest(),
        "images": settings.stitch_images,
        "reach": reach,
    }
    return identity(_VERSION, family.name, dataset, settings.batch, decides)


def _log_probabilities(outputs: NDArray[np.float32]) -> Tensor:
    return torch.from_numpy(outputs).double().log_softmax(dim=1)


def _candidates(space: StitchSpace, reach: Reach) -> tuple[Place, ...]:
    """Places whose networks cost more than one of their anchors and less than the other.

    Raises:
        ContractError: if there is none.
    """
    every = space.with_stitches(EveryPlace(reach)).with_at_most(1)
    macs, ends = count_macs(every, every.crossings), count_macs(every, every.landmarks)
    found = tuple(
        (stitch.source, stitch.leave, stitch.target, stitch.enter)
        for stitch, n in zip(every.stitches, macs, strict=True)
        if ends[stitch.source] < n < ends[stitch.target]
    )
    if not found:
        raise ContractError(
            "Stitches join blocks on equal grids, in networks larger than one anchor and smaller "
            f"than the other, but {space.family.name} has no place for any. Drop [space] choose."
        )
    return found


def _by_range(space: StitchSpace, candidates: Sequence[Place]) -> list[list[int]]:
    """Numbers of places in each range of multiply-adds between two anchors that has any."""
    every = space.with_stitches(Places(tuple(candidates))).with_at_most(1)
    macs, ends = count_macs(every, every.crossings), count_macs(every, every.landmarks)
    ranges: dict[tuple[int, int, int], list[int]] = {}
    for number, (source, _, target, _) in enumerate(candidates):
        edges = np.linspace(ends[source], ends[target], 1 + space.depths[source])
        place = int(np.searchsorted(edges, macs[number], side="right"))
        ranges.setdefault((source, target, place), []).append(number)
    return [ranges[key] for key in sorted(ranges)]
