"""Structure of torch modules: the operators that they run, with their shapes. Imports torch."""

import copy
import hashlib
import io
import logging
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any, TypeVar

import torch
from torch import Tensor, fx, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from tailorbird.errors import ContractError, in_a_line, raising
from tailorbird.spaces.module import check_is_module

T = TypeVar("T")

_LENGTH = 8  # hexadecimal digits
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")  # of a generator, say; other in each process


def digested(run: Callable[[], T]) -> tuple[T, str]:
    """Runs a module; returns what it gives, and a digest of the operators that it ran.

    The digest changes with operators, their order, their settings, which tensors they take, and
    all shapes, but not with weights. Another version of torch may split operators in another way.
    """
    with _Recorder() as recorder:
        output = run()
    return output, _digest(recorder.lines)


def description(module: nn.Module) -> str:
    """Text of a module's parts as torch shows them, and of which parameters learn."""
    learning = [name for name, tensor in module.named_parameters() if tensor.requires_grad]
    return _ADDRESS.sub("", f"{module} {learning}")


def exportable(module: nn.Module, inputs: Sequence[Sequence[int]], name: str) -> str:
    """Returns the digest of a module, once it is known that it can be exported.

    Args:
        module: is not changed.
        inputs: shape of each input, batch first.
        name: of the module, for errors.

    Raises:
        ContractError: if torch cannot export it, or it gives anything but one tensor.
    """
    check_is_module(module, repr(name))

    def refusal(error: BaseException) -> ContractError:
        return ContractError(
            f"What is measured must be a module that torch.export takes, but {name} with inputs of "
            f"shape {', '.join(map(str, inputs))} is not ({in_a_line(error)})."
        )

    with raising(refusal), torch.no_grad(), _silence():
        # On the CPU, as it is measured: tensors that are no buffers would stay there anyway.
        examples = tuple(torch.zeros(tuple(shape)) for shape in inputs)
        copied = copy.deepcopy(module).eval()
        exported = torch.export.export(copied, examples)
    if not exported.call_spec.out_spec.is_leaf():
        raise ContractError(
            f"A module must give one tensor, but {name} gives "
            f"{len(exported.graph_signature.user_outputs)} in a tuple or the like. Wrap it in one "
            "that gives the tensor that counts."
        )
    return _digest(_told(node) for node in _nodes(exported.graph_module))


def _nodes(graph_module: fx.GraphModule) -> Iterator[fx.Node]:
    """Nodes of a graph, and of those within it, such as the branches of a condition."""
    for part in graph_module.modules():
        if isinstance(part, fx.GraphModule):
            yield from part.graph.nodes


def _told(node: fx.Node) -> str:
    """Line with operator, arguments and shape of a node."""
    value = node.meta.get("val")
    values = value if isinstance(value, list | tuple) else [value]
    shapes = [(tuple(v.shape), str(v.dtype)) for v in values if isinstance(v, Tensor)]
    return f"{node.name} {node.op} {node.target} {node.args} {node.kwargs} {shapes}"


def _digest(lines: Iterable[str]) -> str:
    text = _ADDRESS.sub("", "\n".join(lines))
    return hashlib.sha256(text.encode()).hexdigest()[:_LENGTH]


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's
    """Writes a line for each operator: its arguments and outputs, tensors by number and shape."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's
        self.lines: list[str] = []
        self._tensors: list[Tensor] = []  # kept, so that no two have one id
        self._numbers: dict[int, int] = {}

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        output = func(*args, **(kwargs or {}))
        told = tree_map_only(Tensor, self._told, (args, dict(kwargs or {}), output))
        self.lines.append(f"{func} {told}")
        return output

    def _told(self, tensor: Tensor) -> str:
        if id(tensor) not in self._numbers:
            self._numbers[id(tensor)] = len(self._tensors)
            self._tensors.append(tensor)
        return f"{self._numbers[id(tensor)]}: {tuple(tensor.shape)} {tensor.dtype}"


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
