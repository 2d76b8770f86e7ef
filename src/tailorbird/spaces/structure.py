"""Structure of torch modules, as their exported graphs have it."""

import copy
import hashlib
import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING

from tailorbird.errors import ContractError, in_a_line, raising
from tailorbird.spaces.module import check_is_module

if TYPE_CHECKING:
    from torch import fx, nn


def structure(module: "nn.Module", inputs: Sequence[Sequence[int]], name: str) -> str:
    """Word that changes with operators and shapes of a module, but not with its weights.

    Args:
        module: is not changed.
        inputs: shape of each input, batch first.
        name: of the module, for errors.

    Raises:
        ContractError: if torch cannot export it, or it gives anything but one tensor.
    """
    import torch

    check_is_module(module, repr(name))

    def refusal(error: BaseException) -> ContractError:
        return ContractError(
            f"What is measured must be a module that torch.export takes, but {name} with inputs of "
            f"shape {', '.join(map(str, inputs))} is not ({in_a_line(error)})."
        )

    with raising(refusal), torch.no_grad(), _silence():
        # On the CPU, as it is measured: tensors that are no buffers would stay there anyway.
        examples = tuple(torch.zeros(tuple(shape)) for shape in inputs)
        exported = torch.export.export(copy.deepcopy(module).eval(), examples)
    if not exported.call_spec.out_spec.is_leaf():
        raise ContractError(
            f"A module must give one tensor, but {name} gives "
            f"{len(exported.graph_signature.user_outputs)} in a tuple or the like. Wrap it in one "
            "that gives the tensor that counts."
        )
    text = "\n".join(map(_told, _nodes(exported.graph_module)))
    return f"x{hashlib.sha256(text.encode()).hexdigest()[:8]}"  # which no number looks like


@contextmanager
def _silence() -> Iterator[None]:
    """Keeps torch's own account of a failure, of many lines, from the terminal."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    unseen = io.StringIO()
    try:
        with redirect_stdout(unseen), redirect_stderr(unseen), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _nodes(graph_module: "fx.GraphModule") -> Iterator["fx.Node"]:
    """Nodes of a graph, and of those within it, such as the branches of a condition."""
    from torch import fx

    for part in graph_module.modules():
        if isinstance(part, fx.GraphModule):
            yield from part.graph.nodes


def _told(node: "fx.Node") -> str:
    """Line with operator, arguments and shape of a node."""
    from torch import Tensor

    value = node.meta.get("val")
    values = value if isinstance(value, list | tuple) else [value]
    shapes = [(tuple(v.shape), str(v.dtype)) for v in values if isinstance(v, Tensor)]
    return f"{node.name} {node.op} {node.target} {node.args} {node.kwargs} {shapes}"
