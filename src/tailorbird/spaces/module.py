"""Laws that every torch module keeps which is measured or trained."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager

from tailorbird.errors import ContractError, TailorbirdError, in_a_line, raising, require

FLOAT = "torch.float32"
"""The one type of weights and outputs."""


def check_is_module(module: object, what: str) -> None:
    """Refuses what is no torch module in float32 that can be copied.

    Raises:
        ContractError: naming the module.
    """
    require("torch")
    from torch import Tensor, nn
    from torch.nn.parameter import is_lazy

    if not isinstance(module, nn.Module):
        raise ContractError(
            f"A builder must make a torch.nn.Module, but {what} is a {type(module).__name__}."
        )
    for name, tensor in module.state_dict(keep_vars=True).items():
        if not isinstance(tensor, Tensor):
            raise ContractError(
                f"What modules keep must be tensors, but {name!r} of {what} is a "
                f"{type(tensor).__name__}. Leave out `get_extra_state`."
            )
        if is_lazy(tensor):
            raise ContractError(
                f"Weights must have their shapes from the start, but {name!r} of {what} is lazy. "
                "Use a module that is told its sizes."
            )
        if tensor.device.type not in ("cpu", "meta"):
            raise ContractError(
                f"Modules must be built on the CPU, but {name!r} of {what} is on {tensor.device}."
            )
        if (tensor.is_floating_point() or tensor.is_complex()) and str(tensor.dtype) != FLOAT:
            raise ContractError(
                f"Weights must be {FLOAT}, but {name!r} of {what} is {tensor.dtype}. Nothing else "
                "is measured or trained yet."
            )
    with said_of(f"Modules must be fit for copy.deepcopy, but {what} is not"):
        copy.deepcopy(module)


@contextmanager
def said_of(what: str, way_out: str = "") -> Iterator[None]:
    """Turns whatever is raised inside into the reason why a law does not hold.

    Args:
        what: the law, and what does not keep it.
        way_out: of that, if the reason alone does not tell.

    Raises:
        ContractError: if anything is.
    """

    def broken(error: BaseException) -> ContractError:
        return ContractError(f"{what} ({in_a_line(error)}).{way_out}")

    with raising(broken, TailorbirdError):  # which say more
        yield
