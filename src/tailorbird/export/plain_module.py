"""Plain Python files of networks: what torch alone runs, with the names that weights have."""

import math
import operator
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from keyword import iskeyword
from textwrap import indent
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.export import ExportedProgram
from torch.export.unflatten import unflatten

_Names = Mapping[fx.Node, str]

_RESERVED = ("Network", "Path", "load", "torch", "nn")

_INFIX = {
    torch.ops.aten.add.Tensor: "+",
    torch.ops.aten.sub.Tensor: "-",
    torch.ops.aten.mul.Tensor: "*",
    torch.ops.aten.div.Tensor: "/",
    operator.add: "+",
    operator.sub: "-",
    operator.mul: "*",
    operator.floordiv: "//",
}


@dataclass(frozen=True, slots=True)
class PlainModule:
    """A network as a class of torch alone.

    Attributes:
        source: Python text of its classes, the last of which is `Network`.
        constants: tensors by name that it takes besides weights, such as masks of attention.
    """

    source: str
    constants: Mapping[str, Tensor]


def plain_module(network: nn.Module, program: ExportedProgram) -> PlainModule:
    """Writes a network as classes: layers of torch by name, and else the operators of its graph.

    Args:
        network: in evaluation mode.
        program: that `torch.export` made of it.

    Raises:
        ValueError: if its graph has what cannot be written down.
    """
    writer = _Writer(network)
    writer.module("", unflatten(program), "Network")
    return PlainModule("\n\n\n".join(writer.classes.values()), writer.constants)


@dataclass(slots=True)
class _Writer:
    """Writes classes, each once.

    Attributes:
        network: that is written.
        classes: texts by name; one stands behind those that it uses.
        constants: tensors by name that no file of weights has.
    """

    network: nn.Module
    classes: dict[str, str] = field(default_factory=dict)
    constants: dict[str, Tensor] = field(default_factory=dict)

    def module(self, path: str, exported: nn.Module, name: str = "") -> str:
        """Text that makes a module, after the text of its class, if it needs one."""
        origin = self.network.get_submodule(_once(path))
        if (made := _of_torch(origin)) is not None:
            return made
        graph = exported.graph
        assert isinstance(graph, fx.Graph)
        children = self._children(path, exported, graph)
        if _is_chain(origin, graph):
            inside = indent("".join(f"{child},\n" for child in children.values()), " " * 4)
            if not name:
                return f"nn.Sequential(\n{inside})"
            body = f"        super().__init__(\n{indent(inside, ' ' * 8)}        )"
            return self._named(name, f"(nn.Sequential):\n    def __init__(self) -> None:\n{body}")
        tensors = dict.fromkeys(str(n.target) for n in graph.nodes if n.op == "get_attr")
        lines = [
            "super().__init__()",
            *(_assigned(name, "nn.Module()") for name in _containers([*children, *tensors])),
            *(_assigned(child, made) for child, made in children.items()),
            *(self._tensor(path, exported, tensor) for tensor in tensors),
        ]
        body = indent("\n".join(lines), " " * 8)
        text = (
            f"(nn.Module):\n    def __init__(self) -> None:\n{body}\n\n"
            f"{indent(_forward(graph), ' ' * 4)}"
        )
        return f"{self._named(name or _class_name(origin), text)}()"

    def _children(self, path: str, exported: nn.Module, graph: fx.Graph) -> dict[str, str]:
        """Texts that make the modules that a graph calls, by name; one may be called again."""
        children = dict[str, str]()
        for child in dict.fromkeys(str(n.target) for n in graph.nodes if n.op == "call_module"):
            made = self.module(_below(path, child), exported.get_submodule(child))
            if children.setdefault(_once(child), made) != made:
                raise ValueError(f"{_below(path, _once(child))} runs in two ways")
        return children

    def _named(self, name: str, text: str) -> str:
        """Name of a class of a text; those that are alike but for it are numbered."""
        number = 1
        while True:
            numbered = name if number == 1 else f"{name}{number}"
            whole = f"class {numbered}{text}"
            if self.classes.setdefault(numbered, whole) == whole:
                return numbered
            number += 1

    def _tensor(self, path: str, exported: nn.Module, name: str) -> str:
        """Text that makes room for a parameter, or for another tensor."""
        found = operator.attrgetter(name)(exported)
        empty = f"torch.empty({list(found.shape)}, dtype={found.dtype})"
        owner, _, leaf = name.rpartition(".")
        if isinstance(found, nn.Parameter):
            if _is_plain(name):
                return f"self.{name} = nn.Parameter({empty})"
            return f"{_path(owner)}.register_parameter({leaf!r}, nn.Parameter({empty}))"
        whole = _below(path, name)
        if whole not in self.network.state_dict():
            self.constants[whole] = found
        return f"{_path(owner)}.register_buffer({leaf!r}, {empty})"


def _once(path: str) -> str:
    """Path of a module, without the numbers of its further calls."""
    return re.sub(r"@\d+", "", path)


def _is_chain(module: nn.Module, graph: fx.Graph) -> bool:
    """True if a graph is what `nn.Sequential` does."""
    first, *called, last = graph.nodes
    handed = [
        node.args == (before,) and not node.kwargs for before, node in pairwise([first, *called])
    ]
    return (
        type(module) is nn.Sequential
        and [node.target for node in called] == [str(i) for i in range(len(module))]
        and all(handed)
        and last.args in ((called[-1],), ((called[-1],),))
    )


def _containers(names: Sequence[str]) -> Iterator[str]:
    """Yields modules that are never called themselves, but have others that are."""
    outer = {name[:i] for name in names for i, letter in enumerate(name) if letter == "."}
    yield from sorted(outer - {*names})


def _assigned(name: str, value: str) -> str:
    """Line that gives a module to another one, by its path."""
    if _is_plain(name):
        return f"self.{name} = {value}"
    owner, _, leaf = name.rpartition(".")
    return f"{_path(owner)}.add_module({leaf!r}, {value})"


def _is_plain(name: str) -> bool:
    """True if a path can be written with dots."""
    return all(part.isidentifier() and not iskeyword(part) for part in name.split("."))


def _path(name: str) -> str:
    """Text that finds a module by its path; an empty one is the module itself."""
    if not name:
        return "self"
    return f"self.{name}" if _is_plain(name) else f"self.get_submodule({name!r})"


def _class_name(module: nn.Module) -> str:
    """Name of a module's class, which nothing else in a file is called by."""
    name = type(module).__name__.lstrip("_") or "Module"
    return f"{name}_" if name in _RESERVED else name


def _below(path: str, name: object) -> str:
    return f"{path}.{name}" if path else str(name)


def _of_torch(module: nn.Module) -> str | None:
    """Text that makes a layer of torch with no other inside; None of another, or if in doubt."""
    cls = type(module)
    has_hooks = module._forward_hooks or module._forward_pre_hooks
    if not cls.__module__.startswith("torch.nn.modules.") or [*module.children()] or has_hooks:
        return None
    text = f"nn.{module!r}"
    try:
        made = eval(text, {"nn": nn})  # of torch's own text
    except Exception:  # noqa: BLE001  # what is no text of a layer may raise anything
        return None
    constants = getattr(cls, "__constants__", ())
    same = all(getattr(made, c, None) == getattr(module, c, None) for c in constants)
    shapes = [
        {n: (t.shape, t.dtype) for n, t in one.state_dict().items()} for one in (made, module)
    ]
    return text if same and type(made) is cls and shapes[0] == shapes[1] else None


def _forward(graph: fx.Graph) -> str:
    """Method that runs a graph."""
    names = _names(graph)
    arguments = [names[node] for node in graph.nodes if node.op == "placeholder"]
    lines = [line for node in graph.nodes for line in _lines(node, names)]
    return "\n".join(
        [f"def forward(self, {', '.join(arguments)}):", *(indent(line, " " * 4) for line in lines)]
    )


def _names(graph: fx.Graph) -> dict[fx.Node, str]:
    """Names of variables, which do not depend on what else is in the whole network."""
    taken, names = set[str](), dict[fx.Node, str]()
    inputs = [node for node in graph.nodes if node.op == "placeholder"]
    for node in graph.nodes:
        name = re.sub(r"_\d+$", "", node.name)
        if node in inputs and isinstance(node.meta.get("val"), Tensor):
            name = "x"
        if not name.isidentifier() or iskeyword(name) or name in ("self", "torch", "nn"):
            name = f"y{name}"
        numbered, number = name, 1
        while numbered in taken:
            numbered, number = f"{name}_{number + 1}", number + 1
        taken.add(numbered)
        names[node] = numbered
    return names


def _lines(node: fx.Node, names: _Names) -> Iterator[str]:
    """Yields the line of a node, if it has any."""
    if node.op == "output":
        (returned,) = node.args
        yield f"return {_text(returned, names)}"
    elif node.op == "get_attr":
        target = str(node.target)
        owner, _, leaf = target.rpartition(".")
        found = f"self.{target}" if _is_plain(target) else f"getattr({_path(owner)}, {leaf!r})"
        yield f"{names[node]} = {found}"
    elif node.op == "call_module":
        target = _path(_once(str(node.target)))
        yield f"{names[node]} = {target}({_arguments(node, names)})"
    elif node.op == "call_function":
        yield f"{names[node]} = {_call(node, names)}"


def _call(node: fx.Node, names: _Names) -> str:
    if node.target in _INFIX and len(node.args) == 2 and not node.kwargs:
        a, b = (_text(value, names) for value in node.args)
        return f"{a} {_INFIX[node.target]} {b}"
    if node.target is operator.getitem:
        of, index = (_text(value, names) for value in node.args)
        return f"{of}[{index}]"
    if node.target is torch.ops.aten.relu.default:
        return f"torch.relu({_arguments(node, names)})"
    if isinstance(node.target, torch._ops.OpOverload):
        return f"torch.ops.{node.target}({_arguments(node, names)})"
    raise ValueError(f"{node.target} has no name that a file could call it by")


def _arguments(node: fx.Node, names: _Names) -> str:
    named = (f"{name}={_text(value, names)}" for name, value in node.kwargs.items())
    return ", ".join((*(_text(value, names) for value in node.args), *named))


def _text(value: Any, names: _Names) -> str:
    """Python text of an argument."""
    if isinstance(value, fx.Node):
        return names[value]
    if isinstance(value, list | tuple):
        inside = ", ".join(_text(one, names) for one in value)
        return f"[{inside}]" if isinstance(value, list) or len(value) != 1 else inside
    if isinstance(value, torch.device):
        return f'torch.device("{value}")'
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    if value is None or isinstance(value, bool | int | float | str | torch.dtype):
        return repr(value)
    if isinstance(value, torch.memory_format | torch.layout):
        return str(value)
    raise ValueError(f"{value!r} has no text that a file could hold")
