"""Trial of a few networks of a space on two images, before long training."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from tailorbird.errors import ContractError
from tailorbird.spaces import IntArray, Piece, SharedSpace
from tailorbird.spaces.module import said_of
from tailorbird.spaces.trial import check_output, check_torch, check_untouched, told
from tailorbird.training.data.arrays import Split
from tailorbird.training.distillation import Loss
from tailorbird.training.shared.network import SharedNetwork
from tailorbird.training.shared.trained import Trained
from tailorbird.training.shared.weights_trial import check_buffers, check_built, check_state
from tailorbird.training.trial import Batch

_STEPS = 16  # until every block was reached: training may leave some out by chance


def check_networks(
    space: SharedSpace,
    network: SharedNetwork,
    X: IntArray,
    learning_rates: Mapping[str, float],
    batch: Batch,
    loss: Loss,
    n_classes: int,
) -> None:
    """Runs some networks as training does.

    Afterwards norms of the network have seen the images; its weights are as they were.

    Args:
        space: of the networks.
        network: with the weights that training starts from.
        X: canonical rows (n, d) of the networks.
        learning_rates: of each kind of piece; none where nothing is trained.
        batch: of a step.
        loss: of a step.
        n_classes: that networks tell apart.

    Raises:
        ContractError: naming the part, and the workload whose module does not do what it must.
    """
    check_state(network)
    for row in X:
        check_built(space, network, row)
    if learning_rates:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            for row in X:
                route = space.route(row)
                _check_step(network.train(), learning_rates, batch, loss, route, n_classes)
    labels = batch.labels if batch.labels.ndim == 1 else batch.labels.argmax(dim=1)
    some = Split(batch.images.contiguous().numpy(), labels.numpy())
    with said_of("Networks must run in evaluation mode, but they failed"):
        Trained(space, network, some).evaluate(X, some)
    check_torch()


def _check_step(
    network: SharedNetwork,
    learning_rates: Mapping[str, float],
    batch: Batch,
    loss: Loss,
    route: Sequence[Piece],
    n_classes: int,
) -> None:
    groups = [_learning(network, piece, learning_rates) for piece in route]
    before = {p: {n: b.clone() for n, b in network.buffers_of(p).items()} for p in route}
    reached: dict[Tensor, bool] = {}
    for _ in range(_STEPS):
        logits = _run_pieces(network, batch.images.clone(), route, n_classes)
        with said_of("The loss must be one number that gradients can be had of, but it failed"):
            value = loss(logits, batch.labels, batch.images)
            learn = [p for piece in route for p in _parameters(network, piece)]
            for parameter, is_finite in _reached(value, learn).items():
                reached[parameter] = reached.get(parameter, True) and is_finite
        if all(any(p in reached for p in group) for group in groups if group):
            break
    # The last one first: what cuts off gradients lies in it, or next to it.
    for piece, group in [*zip(route, groups, strict=True)][::-1]:
        what = f"{piece} ({told(piece.workload)})"
        found = [reached[p] for p in group if p in reached]
        if group and not found:
            raise ContractError(
                f"Weights must get gradients, but none of {what} does. Look for `no_grad` and "
                "`detach` in it and behind it, or let it be: learning rate 0, `requires_grad` off."
            )
        if not all(found):
            raise ContractError(
                f"Gradients must be finite, but some of {what} are not. Look for roots and "
                "divisions of what may be zero, and for images that are not scaled."
            )
        check_buffers(piece, before[piece], network.buffers_of(piece), "changes in training")
        law = f"Modules must be fit for copy.deepcopy after training, but {what} is not"
        with said_of(law, " Keep activations with `.detach()`, if at all."):
            copy.deepcopy(network.module_of(piece))


def _run_pieces(
    network: SharedNetwork, x: Tensor, route: Sequence[Piece], n_classes: int
) -> Tensor:
    """Logits (n, classes) of a network, each of whose pieces is checked to fit the next one."""
    wanted = [piece.workload.inputs[0][1:] for piece in route[1:]] + [(n_classes,)]
    thens = [*map(str, route[1:]), "the loss"]
    for piece, shape, then in zip(route, wanted, thens, strict=True):
        what = f"{piece} ({told(piece.workload)})"
        before, version = x.detach().clone(), x._version
        n, way_out = f"{len(x)} training images", ""
        if len(x) == 1:
            n, way_out = "a step of one image", " Give more images, or raise the batch of training."
        with said_of(f"{what} must run on {n}, but failed", way_out):
            y: Any = network.run(piece, x)
        check_torch()
        check_untouched(x.detach(), before, version, what)
        check_output(y, (len(x), *shape), what, then)
        x = y
    return x


def _reached(value: Tensor, parameters: Sequence[nn.Parameter]) -> dict[Tensor, bool]:
    """Parameters that get a gradient, and whether it is finite; one is in memory at a time."""
    found: dict[Tensor, bool] = {}

    def look(parameter: Tensor) -> None:
        assert parameter.grad is not None  # it was just made
        found[parameter] = bool(parameter.grad.norm().isfinite())  # as training measures it
        parameter.grad = None

    if value.requires_grad:
        hooks = [
            p.register_post_accumulate_grad_hook(look)  # type: ignore[no-untyped-call]  # as below
            for p in parameters
        ]
        value.backward()  # type: ignore[no-untyped-call]  # torch leaves it so
        for hook in hooks:
            hook.remove()
    return found


def _learning(
    network: SharedNetwork, piece: Piece, learning_rates: Mapping[str, float]
) -> list[nn.Parameter]:
    return _parameters(network, piece) if learning_rates.get(piece.kind, 0) else []


def _parameters(network: SharedNetwork, piece: Piece) -> list[nn.Parameter]:
    return [p for p in network.parameters_of(piece) if p.requires_grad]
