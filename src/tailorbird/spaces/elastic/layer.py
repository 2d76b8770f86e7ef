"""Classes of torch modules with arguments, and the workloads that they make."""

import inspect
import sys
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from tailorbird.errors import ContractError, nearest, shown
from tailorbird.spaces.workload import Workload, is_value

if TYPE_CHECKING:
    from torch import nn


class Layer:
    """A class of torch modules, and what is known of its arguments.

    Args:
        module: the class, or a `functools.partial` of it.
        arguments: more arguments by name.

    Attributes:
        cls: the class.
        arguments: all that are known, by name.

    Raises:
        ContractError: if it is no class that can be imported, or has no such parameter.
    """

    def __init__(
        self,
        module: "type[nn.Module] | partial[Any]",
        arguments: Mapping[str, object] | None = None,
    ) -> None:
        self.cls: type[nn.Module] = _importable(
            module.func if isinstance(module, partial) else module
        )
        made = module if isinstance(module, partial) else partial(module)
        self._signature = inspect.signature(self.cls)
        parameters = self._signature.parameters.values()
        self._takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters)
        self._names = [p.name for p in parameters if p.kind is not p.VAR_KEYWORD]
        if made.args:
            raise ContractError(
                f"Arguments of {self.name} must be given by name, by which tables know them, but "
                f"{shown(made.args[0])} has none."
            )
        self.arguments = {**made.keywords, **(arguments or {})}
        for name in self.arguments:
            if not self.takes(name):
                self.check_has(name)

    @property
    def name(self) -> str:
        """Name of the class, by which tables know its workloads."""
        return self.cls.__name__

    def own(self, arguments: Mapping[str, object]) -> dict[str, object]:
        """Those of some arguments that the class has parameters of the names of."""
        return {name: value for name, value in arguments.items() if name in self._names}

    def takes(self, name: str) -> bool:
        """True if the class can be given an argument of that name."""
        return self._takes_any or name in self._names

    def check_has(self, name: str) -> None:
        """Refuses an argument that the class has no parameter of the name of.

        Raises:
            ContractError: if so.
        """
        if name not in self._names:
            hint = nearest(name, self._names) if self._names else "it has none."
            raise ContractError(f"{self.name} has no parameter {shown(name)}; {hint}")

    def workload(self, shape: tuple[int, ...], arguments: Mapping[str, object]) -> Workload:
        """Workload of the module that the arguments make.

        Its parameters are in the order of the class's own, and those that it takes by any name
        behind them, by name: in whatever order they are said, the key is the same.

        Args:
            shape: of its input.
            arguments: all of them, by name.

        Raises:
            ContractError: if one is missing, or is no value that a key can hold.
        """
        try:
            self._signature.bind(**arguments)
        except TypeError as error:
            raise ContractError(
                f"{self.name} cannot be made with what it is given ({error}). It is given what is "
                "said of it and, if it has parameters of these names, `width` and, in a stage, "
                "`to` and `stride`. Say the rest, or write a subclass that has these parameters."
            ) from None
        for name, value in arguments.items():
            check_value(value, f"`{name}` of {self.name}")
        ordered = dict.fromkeys([*(n for n in self._names if n in arguments), *sorted(arguments)])
        params = tuple((name, arguments[name]) for name in ordered)
        path = f"{self.cls.__module__}:{self.cls.__qualname__}"
        return Workload(self.name, params, (shape,), path)


def check_value(value: object, what: str) -> None:
    """Refuses a value that keys of workloads cannot hold.

    Raises:
        ContractError: naming the argument that has it.
    """
    if not is_value(value):
        is_several = isinstance(value, tuple | list | range | set)
        way_out = (
            "Choices are tuples, and only stages have them."
            if is_several
            else "Have the class look it up by such a word."
        )
        raise ContractError(
            f"{what} must be a finite number, a bool or a word such as 'relu', but is "
            f"{shown(value)}. {way_out}"
        )


def _importable(cls: object) -> Any:
    """The class, if other processes can import it."""
    from torch import nn

    if not (isinstance(cls, type) and issubclass(cls, nn.Module)):
        named = f"{type(cls).__name__} {getattr(cls, '__qualname__', '')}".rstrip()
        raise ContractError(
            "Layers and blocks must be classes of torch modules, or a `functools.partial` of one, "
            f"but got {named}. Write a class: each network makes modules of its own."
        )
    if getattr(sys.modules.get(cls.__module__), cls.__qualname__, None) is not cls:
        raise ContractError(
            "Classes of layers and blocks must be importable, since other processes make them, "
            f"but {cls.__module__}:{cls.__qualname__} is not. Move it to the top of its module."
        )
    return cls
