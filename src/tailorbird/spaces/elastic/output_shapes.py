"""Shapes of what modules give, found without arithmetic."""

from dataclasses import replace

from tailorbird.errors import ContractError, require
from tailorbird.spaces.footprint import built_on_meta
from tailorbird.spaces.module import said_of
from tailorbird.spaces.trial import told
from tailorbird.spaces.workload import Workload

_OURS = "tailorbird."


class OutputShapes:
    """Runs each distinct module once on torch's meta device, in evaluation mode."""

    def __init__(self) -> None:
        self._known: dict[Workload, tuple[Workload, tuple[int, ...]]] = {}
        self._builders: dict[str, str] = {}

    def of(self, workload: Workload, place: str) -> tuple[Workload, tuple[int, ...]]:
        """A workload with the digest of a user's operators, and the shape of its output.

        Imports torch.

        Args:
            workload: of one input.
            place: where in a network it stands, for errors.

        Raises:
            ContractError: if its module cannot be made, does not take the input, or gives anything
                but one tensor for as many images; or if another class has the name of its.
        """
        builder = self._builders.setdefault(workload.op, workload.builder)
        if builder != workload.builder:
            raise ContractError(
                "Tables know workloads by the names of their classes, which must differ, but "
                f"{builder} and {workload.builder} have one. Rename one of them."
            )
        if workload not in self._known:
            self._known[workload] = _tried(workload, f"{place}, {told(workload)},")
        return self._known[workload]


def _tried(workload: Workload, what: str) -> tuple[Workload, tuple[int, ...]]:
    require("torch")
    import torch

    from tailorbird.spaces.structure import digested

    (shape,) = workload.inputs
    way_out = " It is tried on torch's meta device, which has shapes and no values."
    with torch.device("meta"), torch.no_grad():
        with said_of(f"Modules must be made of their arguments, but {what} is not", way_out):
            module = built_on_meta(workload.build)
        law = f"Modules must take what comes before them, but {what} does not take {shape}"
        with said_of(law, way_out):
            x = torch.empty(shape)
            output: object
            if workload.builder.startswith(_OURS):  # which change under other names
                output, digest = module(x), ""
            else:
                output, digest = digested(lambda: module(x))
    if not isinstance(output, torch.Tensor) or not output.is_floating_point():
        given = output.dtype if isinstance(output, torch.Tensor) else type(output).__name__
        raise ContractError(f"A module must give one tensor of floats, but {what} gave {given}.")
    if output.shape[:1] != shape[:1]:
        raise ContractError(
            f"A module must keep the first axis, of {shape[0]} images, but {what} gave "
            f"{tuple(output.shape)}."
        )
    return replace(workload, digest=digest), tuple(output.shape)
