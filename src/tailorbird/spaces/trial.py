"""Trial runs of a space's modules, before they are measured or trained. Imports torch."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from tailorbird.errors import ContractError, require
from tailorbird.spaces.footprint import count_macs
from tailorbird.spaces.module import FLOAT, check_is_module, said_of
from tailorbird.spaces.space import SearchSpace
from tailorbird.spaces.stitching.order import check_order
from tailorbird.spaces.stitching.space import StitchSpace
from tailorbird.spaces.workload import Workload

if TYPE_CHECKING:
    from torch import Tensor, nn

_ON_META = "must be fit for torch's meta device, on which costs are counted"
_MOST_OF_A_BUILDER = 8  # workloads that are run; they differ in sizes, hardly in code


def check_modules(space: SearchSpace) -> None:
    """Runs modules twice each, as they would be measured.

    Of a stitched space those of all anchors are run, of others a few of each builder, and whole
    networks: the first and the last reference architecture.

    Raises:
        ContractError: naming the first workload whose module does not do what it must.
    """
    check_torch()
    if isinstance(space, StitchSpace):
        _check_anchors(space)
    else:
        of_builder = defaultdict(list)
        for workload in space.workloads:
            of_builder[workload.builder].append(workload)
        for workloads in of_builder.values():
            n = min(len(workloads), _MOST_OF_A_BUILDER)
            drawn = np.linspace(0, len(workloads) - 1, n, dtype=int)
            check_workloads([workloads[i] for i in drawn])
        for row in space.landmarks[[0, -1]]:
            what = f"the network {space.describe(row)}"
            _run(partial(space.build, row), (space.input_shape,), what)
        if not space.workloads:
            with said_of(f"Networks {_ON_META}"):
                count_macs(space, space.landmarks[[0, -1]])


def check_workloads(workloads: Sequence[Workload]) -> None:
    """Runs the modules of workloads twice each, as they would be measured.

    Raises:
        ContractError: naming the first that does not do what it must.
    """
    check_torch()
    for workload in workloads:
        _run_workload(workload)


def check_torch() -> None:
    """Refuses a torch whose defaults somebody changed for all.

    Raises:
        ContractError: naming the default.
    """
    require("torch")
    import torch

    way_out = "Leave torch's defaults as they are: your modules share them with everything else."
    if torch.get_default_dtype() != torch.float32:
        raise ContractError(
            f"Torch's default dtype must be torch.float32, but was set to "
            f"{torch.get_default_dtype()}. {way_out}"
        )
    if torch.get_default_device() != torch.device("cpu"):
        raise ContractError(
            f"Torch's default device must be the CPU, but was set to "
            f"{torch.get_default_device()}. {way_out}"
        )
    if not torch.is_grad_enabled() or torch.is_inference_mode_enabled():
        raise ContractError(f"Torch must keep gradients, but that was switched off. {way_out}")


def check_output(y: object, shape: Sequence[int], what: str, then: str) -> None:
    """Refuses an output that is not one finite tensor in float32 of the shape that comes next.

    Args:
        y: whatever a module gave.
        shape: that it must have.
        what: the module.
        then: what takes it.

    Raises:
        ContractError: if so.
    """
    import torch

    if not isinstance(y, torch.Tensor):
        raise ContractError(
            f"A module must give one tensor, but {what} gave {type(y).__name__}. Leave out what "
            f"{then} does not take."
        )
    if tuple(y.shape) != tuple(shape):
        raise ContractError(
            f"{what[0].upper()}{what[1:]} must give shape {tuple(shape)}, which {then} takes, but "
            f"gave {tuple(y.shape)}."
        )
    if str(y.dtype) != FLOAT:
        raise ContractError(f"Outputs must be {FLOAT}, but {what} gave {y.dtype}.")
    _check_finite(y, what)


def check_untouched(x: "Tensor", before: "Tensor", version: int, what: str) -> None:
    """Refuses a module that changed its input, which others may need.

    Args:
        x: the input, now.
        before: its values then.
        version: torch's count of changes, then.
        what: the module.

    Raises:
        ContractError: if so.
    """
    import torch

    if x._version != version or not torch.equal(x, before):
        raise ContractError(
            f"A module must leave its input as it is, but {what} works in place on it. Leave out "
            "`inplace=True` at its beginning."
        )


def told(workload: Workload) -> str:
    """Text that names a workload and where its module comes from."""
    return f"{workload.key} of {workload.builder}"


def _check_anchors(space: StitchSpace) -> None:
    """Runs the parts of all anchors: outputs fit the next input, and inputs stay as they are."""
    shapes: dict[Workload, tuple[int, ...]] = {}
    batch = space.input_shape[0]
    for row in space.landmarks:
        takes = [piece.workload for piece in space.route(row)]
        wanted = [workload.inputs[0] for workload in takes]
        if wanted[0] != space.input_shape:
            raise ContractError(
                f"An embedding must take the family's input, {space.input_shape}, but "
                f"{told(takes[0])} takes {wanted[0]}."
            )
        wanted = [*wanted[1:], (batch, space.family.n_classes)]
        thens = [*map(told, takes[1:]), "the loss"]
        for workload, shape, then in zip(takes, wanted, thens, strict=True):
            if workload not in shapes:
                x, before, y = _run_workload(workload)
                check_untouched(x, before, 0, told(workload))
                check_output(y, shape, told(workload), then)
                shapes[workload] = shape
            elif shapes[workload] != shape:
                raise ContractError(
                    f"{told(workload)} must give one shape, but {then} takes {shape}, and the part "
                    f"behind another use of it {shapes[workload]}."
                )
    with said_of(f"Modules {_ON_META}"):
        check_order(space.family, count_macs(space, space.landmarks))


def _run_workload(workload: Workload) -> tuple["Tensor", "Tensor", Any]:
    if workload.dtype != "f32":
        raise ContractError(
            f"A workload's dtype must be 'f32', the only one that is measured yet, but "
            f"{told(workload)} has {workload.dtype!r}. Leave `dtype` out."
        )
    return _run(workload.build, workload.inputs, told(workload))


def _run(
    build: Callable[[], "nn.Module"], inputs: Sequence[Sequence[int]], what: str
) -> tuple["Tensor", "Tensor", Any]:
    """Runs a module twice; returns its first input afterwards and before, and its output."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        with said_of(f"{what} cannot be built"):
            module = build()
        check_torch()
        check_is_module(module, what)
        module.eval()
        examples = [torch.randn(tuple(shape)) for shape in inputs]
        passed = [x.clone() for x in examples]
        with torch.no_grad(), said_of(f"{what} does not run"):
            first = module(*passed)
            again = module(*(x.clone() for x in examples))
    check_torch()
    for y, z in zip(_tensors(first, what), _tensors(again, what), strict=True):
        if y.shape != z.shape or not torch.allclose(y, z):
            raise ContractError(
                f"A module must give the same for the same input in evaluation mode, but {what} "
                "does not. Let what is drawn by chance depend on `self.training`."
            )
    return passed[0], examples[0], first


def _tensors(outputs: Any, what: str) -> list["Tensor"]:
    import torch

    tensors = [*outputs] if isinstance(outputs, tuple | list) else [outputs]
    for y in tensors:
        if not isinstance(y, torch.Tensor) or not y.is_floating_point():
            raise ContractError(
                f"A module must give tensors of floats, but {what} gave {type(y).__name__}."
            )
        _check_finite(y, what)
    return tensors


def _check_finite(y: "Tensor", what: str) -> None:
    if not bool(y.isfinite().all()):
        raise ContractError(
            f"Outputs must be finite, but some of {what} are not. Look for a division by zero, a "
            "root of what may be negative, and NaN among the weights."
        )
