"""Importance of the units of a network, by which they are sorted before others share them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tailorbird.errors import ContractError
from tailorbird.registry.importances import IMPORTANCES
from tailorbird.registry.python_paths import check_named, load
from tailorbird.spaces import FloatArray, Piece, SharedSpace
from tailorbird.spaces.shared import smallest_and_largest
from tailorbird.training.data.images import LabelledImages
from tailorbird.training.data.images import inputs as inputs_of
from tailorbird.training.shared.named_tensors import Window
from tailorbird.training.shared.network import SharedNetwork
from tailorbird.training.supernet.reordering import reorder
from tailorbird.training.supernet.sortable_units import units_of
from tailorbird.training.supernet.units import Units

_MOST_IMAGES = 1_000
_BATCH = 100

Saliency = Mapping[tuple[str, str], Tensor]
"""What each value of a tensor contributes, by the names of its piece's weights and its own."""


@dataclass(frozen=True, slots=True, eq=False)
class ImportanceInputs:
    """What importance may be computed from.

    Attributes:
        network: whose largest subnetwork is trained.
        route: of that.
        train: training images.
    """

    network: SharedNetwork
    route: tuple[Piece, ...]
    train: LabelledImages


Importance = Callable[[ImportanceInputs], Iterator[Saliency]]
"""Yields saliencies, of some images each; a unit counts by the sum of the sizes of its own."""


def l1(inputs: ImportanceInputs) -> Iterator[Saliency]:
    """Sizes of weights, without those of norms and biases.

    References:
        Li, Kadav, Durdanovic, Samet, Graf: Pruning Filters for Efficient ConvNets. ICLR 2017.
    """
    yield {name: w.detach().abs() for name, w in _weights(inputs) if w.ndim > 1}


def taylor(inputs: ImportanceInputs) -> Iterator[Saliency]:
    """What the loss on training images would change by without a value, to first order.

    References:
        Molchanov, Mallya, Tyree, Frosio, Kautz: Importance Estimation for Neural Network Pruning.
        CVPR 2019.
    """
    network, split = inputs.network, inputs.train
    index = np.random.default_rng(0).permutation(len(split.labels))[:_MOST_IMAGES]
    network.train()
    for some in np.array_split(index, max(1, len(index) // _BATCH)):
        network.zero_grad()
        logits = network(inputs_of(split, some), inputs.route)
        loss = F.cross_entropy(logits, torch.from_numpy(split.labels[some]))
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it so
        gradients = {(p.weights, n): _gradient(w, part) for p, n, w, part in _windows(inputs)}
        yield {name: w.detach() * gradients[name] for name, w in _weights(inputs)}
    network.zero_grad()
    network.drop_windows(inputs.route)


def unsorted(inputs: ImportanceInputs) -> Iterator[Saliency]:
    """None: everything stays where it is."""
    yield from ()


def sort(
    space: SharedSpace, network: SharedNetwork, train: LabelledImages, importance: str
) -> None:
    """Sorts the units of the largest network, the most important ones first.

    What it computes stays the same, but for rounding; smaller networks get the units that matter
    most. Modules keep their order: they do not commute.

    Args:
        space: of the networks.
        network: changed in place.
        train: training images.
        importance: name of a registered one.

    Raises:
        ContractError: if there is none of that name, an axis cannot be sorted, importance is not
            finite, or the largest network would compute something else.

    References:
        Sarah, Sridhar, Szankin, Sundaresan: InstaTune: Instantaneous Neural Architecture Search
        During Fine-Tuning. ICCV Workshops 2023.
    """
    check_named(importance, IMPORTANCES, "importance")
    route = space.route(smallest_and_largest(space)[1])
    of: Importance = load(IMPORTANCES[importance])
    inputs = ImportanceInputs(network, route, train)
    found: list[tuple[Units, FloatArray]] = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # for what drops out
        for saliency in of(inputs):  # one at a time: each is as large as the network
            found = found or [(units, np.zeros(units.n)) for units in units_of(space)]
            for units, scores in found:
                scores[:] += _score(units, saliency)
    if not all(np.isfinite(scores).all() for _, scores in found):
        raise ContractError(
            "Importance must be finite, but for units of the largest network it is not, since "
            f"numbers overflow in {space.name} with these weights and images. Look for very large "
            'ones among them, or take importance = "none".'
        )
    orders = [(units, np.argsort(-scores, kind="stable")) for units, scores in found]
    reorder(network, route, orders, train, space.name)


def _score(units: Units, saliency: Saliency) -> FloatArray:
    """Size of the sum over all values of each unit, (n,)."""
    total = torch.zeros(units.n, dtype=torch.float64)
    for axis, parts in units.parts.items():
        values = saliency.get((axis.weights, axis.tensor))
        if values is not None:
            by_index = values.double().movedim(axis.axis, 0)
            total += by_index[torch.from_numpy(parts)].flatten(1).sum(dim=1)
    return total.abs().numpy()


def _windows(inputs: ImportanceInputs) -> Iterator[tuple[Piece, str, Tensor, Window]]:
    for piece in inputs.route:
        for name, (shared, window) in inputs.network.windows_of(piece).items():
            yield piece, name, shared, window


def _weights(inputs: ImportanceInputs) -> Iterator[tuple[tuple[str, str], Tensor]]:
    for piece, name, shared, window in _windows(inputs):
        yield (piece.weights, name), shared[window]


def _gradient(shared: Tensor, window: Window) -> Tensor:
    return torch.zeros_like(shared[window]) if shared.grad is None else shared.grad[window]
