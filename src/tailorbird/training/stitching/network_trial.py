"""Trial of a space's smallest and largest networks on two images, before long training."""

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tailorbird.errors import ContractError
from tailorbird.spaces.footprint import count_macs
from tailorbird.spaces.module import said_of
from tailorbird.spaces.stitching import Part, StitchSpace
from tailorbird.spaces.trial import check_output, check_torch, check_untouched, told
from tailorbird.training.data.dataset import Split
from tailorbird.training.distillation import Loss
from tailorbird.training.stitching.network import StitchedNetwork
from tailorbird.training.stitching.settings import Training
from tailorbird.training.stitching.trained import Trained
from tailorbird.training.trial import Batch

_STEPS = 16  # until every block was reached: training may leave some out by chance


def check_networks(
    space: StitchSpace, network: StitchedNetwork, settings: Training, batch: Batch, loss: Loss
) -> None:
    """Runs the smallest and the largest network, and one with a stitch, as training does.

    Afterwards norms of the network have seen the images; its weights are as they were.

    Args:
        space: of the networks.
        network: with the weights that training starts from.
        settings: of training; where there are no epochs, nothing is trained.
        batch: of a step.
        loss: of a step.

    Raises:
        ContractError: naming the part, and the workload whose module does not do what it must.
    """
    _check_state(network)
    rows = [space.landmarks[0], space.landmarks[-1]]
    if space.stitches:
        crossing = np.zeros((len(space.stitches), len(rows[0])), dtype=np.int64)
        crossing[:, 0] = [stitch.source for stitch in space.stitches]
        crossing[:, 1] = 1 + np.arange(len(crossing))
        rows.append(crossing[count_macs(space, crossing).argmin()])
    if settings.train_epochs or settings.stitch_epochs:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            for row in rows:
                _check_step(space, network.train(), settings, batch, loss, space.route(row))
    some = Split(batch.images.contiguous().numpy(), batch.labels.numpy())
    with said_of("Networks must run in evaluation mode, but they failed"):
        Trained(space, network, some).evaluate(np.array(rows), some)
    check_torch()


def _check_state(network: StitchedNetwork) -> None:
    """Refuses weights that cannot be kept and loaded part by part."""
    owners: dict[int, str] = {}
    for name, tensor in network.state_dict().items():
        short = name.removeprefix("parts.")
        if not tensor.numel():
            continue
        if any(n > 1 and not step for n, step in zip(tensor.shape, tensor.stride(), strict=True)):
            raise ContractError(
                f"Each value of a weight must have memory of its own, but {short} is expanded. "
                "Add `.clone()`."
            )
        owner = owners.setdefault(tensor.untyped_storage().data_ptr(), short)
        if owner.partition(".")[0] != short.partition(".")[0]:
            raise ContractError(
                f"Parts must have weights of their own, but {owner} and {short} share theirs. "
                "Make every weight in the module that it belongs to."
            )


def _check_step(
    space: StitchSpace,
    network: StitchedNetwork,
    settings: Training,
    batch: Batch,
    loss: Loss,
    route: Sequence[Part],
) -> None:
    modules = network.modules_of(route)
    groups = [_learning(part, m, settings) for part, m in zip(route, modules, strict=True)]
    reached: dict[Tensor, bool] = {}
    for _ in range(_STEPS):
        logits = _run_parts(space, network, batch.images.clone(), route)
        with said_of("The loss must be one number that gradients can be had of, but it failed"):
            value = loss(logits, batch.labels, batch.images)
            learn = [p for module in modules for p in module.parameters() if p.requires_grad]
            for parameter, is_finite in _reached(value, learn).items():
                reached[parameter] = reached.get(parameter, True) and is_finite
        if all(any(p in reached for p in group) for group in groups if group):
            break
    # The last one first: what cuts off gradients lies in it, or next to it.
    for part, module, group in [*zip(route, modules, groups, strict=True)][::-1]:
        what = f"{part} ({told(space.workload(part))})"
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
        law = f"Modules must be fit for copy.deepcopy after training, but {what} is not"
        with said_of(law, " Keep activations with `.detach()`, if at all."):
            copy.deepcopy(module)


def _run_parts(
    space: StitchSpace, network: StitchedNetwork, x: Tensor, route: Sequence[Part]
) -> Tensor:
    """Logits (n, classes) of a network, each of whose parts is checked to fit the next one."""
    takes = [space.workload(part) for part in route]
    wanted = [workload.inputs[0][1:] for workload in takes[1:]] + [(space.family.n_classes,)]
    thens = [*map(str, route[1:]), "the loss"]
    modules = network.modules_of(route)
    for part, workload, module, shape, then in zip(
        route, takes, modules, wanted, thens, strict=True
    ):
        what = f"{part} ({told(workload)})"
        before, version = x.detach().clone(), x._version
        n, way_out = f"{len(x)} training images", ""
        if len(x) == 1:
            n, way_out = "a step of one image", " Give more images, or raise the batch of training."
        with said_of(f"{what} must run on {n}, but failed", way_out):
            y: Any = module(x)
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


def _learning(part: Part, module: nn.Module, settings: Training) -> list[nn.Parameter]:
    if not settings.learning_rates.get(part.kind, 0):
        return []
    return [p for p in module.parameters() if p.requires_grad]
