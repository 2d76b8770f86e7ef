"""The runtime that a recipe names."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tailorbird.errors import ContractError, MeasurementError, RecipeError
from tailorbird.latency_tables import Artifact, Configuration, Device, Runtime
from tailorbird.latency_tables.runtime import Tensors, Timing
from tailorbird.latency_tables.runtimes.kind import RuntimeKind
from tailorbird.latency_tables.tables.configuration import IMPORTED
from tailorbird.latency_tables.tables.samples import Samples
from tailorbird.pipeline.python_path import resolve, users_code
from tailorbird.registry.python_paths import is_path, load
from tailorbird.registry.runtimes import RUNTIMES

if TYPE_CHECKING:
    from torch import nn

    from tailorbird.latency_tables.runtimes.tvm.tuning.tuning import Tuning

_KEY = "[latency] runtime"
_NAME = re.compile(r"[\w.+-]{1,50}")
_METHODS = ("configuration", "compile", "run", "measure", "close")


def runtime_of(name: str, home: Path) -> RuntimeKind:
    """The class of runtimes that a recipe names.

    Args:
        name: registered, or a Python path.
        home: folder of the recipe.

    Raises:
        RecipeError: if a path names nothing, or what is no class of runtimes.
    """
    if not is_path(name):
        registered: RuntimeKind = load(RUNTIMES[name].path)
        return registered
    kind = resolve(name, home, _KEY)
    return OwnRuntimeKind(kind, f"{_KEY} = {name!r}", _name_of(kind, name))


def runtime_name(name: str, home: Path) -> str:
    """Runtime in the configuration of what a recipe measures; its modules are not loaded.

    Args:
        name: registered, `imported`, or a Python path.
        home: folder of the recipe.
    """
    return runtime_of(name, home).name if is_path(name) else name


def _name_of(kind: object, path: str) -> str:
    name = getattr(kind, "name", None)
    is_kind = callable(getattr(kind, "on", None))
    if not is_kind or not isinstance(name, str) or not _NAME.fullmatch(name):
        raise RecipeError(
            f"{_KEY} = {path!r} must be a class with a `name` of at most 50 letters, "
            "digits, dots and dashes and a classmethod `on(device, folder, timing, tuning)`, but "
            f"{getattr(kind, '__name__', kind)!r} is none."
        )
    if name in RUNTIMES or name == IMPORTED:
        raise RecipeError(
            f"The `name` of {_KEY} = {path!r} stands in its rows, so it must differ from those of "
            f"other runtimes, but it is {name!r}. Choose another one."
        )
    return name


@dataclass(frozen=True, slots=True)
class OwnRuntimeKind:
    """A user's class of runtimes.

    Attributes:
        kind: the user's.
        named: where the recipe names it.
        name: in the configuration of everything that it measures.
    """

    kind: Any
    named: str
    name: str

    def on(self, device: Device, folder: Path, timing: Timing, tuning: "Tuning | None") -> Runtime:
        """A runtime for a device, behind its contract.

        Raises:
            RecipeError: if it does not do what it must.
        """
        with users_code(self.named):
            runtime = self.kind.on(device, folder, timing, tuning)
            missing = [name for name in _METHODS if not callable(getattr(runtime, name, None))]
            if missing:
                raise ContractError(
                    f"A runtime must have the methods {', '.join(_METHODS)}, but "
                    f"{type(runtime).__name__} has no {missing[0]}."
                )
        return OwnRuntime(runtime, self.named, self.name)


@dataclass(frozen=True, slots=True)
class OwnRuntime:
    """A user's runtime: what it raises is a failure of the program, told with the user's line.

    Attributes:
        runtime: the user's.
        named: where the recipe names it.
        name: in its configuration.
    """

    runtime: Any
    named: str
    name: str

    def configuration(self, device: Device, batch: int) -> Configuration:
        """Configuration that its measurements on a device are made under."""
        with users_code(self.named):
            configuration = self.runtime.configuration(device, batch)
            if not isinstance(configuration, Configuration) or configuration.runtime != self.name:
                raise ContractError(
                    f"`configuration` must give a `Configuration` with runtime = {self.name!r}, "
                    f"but gave {configuration!r}."
                )
            return configuration

    def compile(self, module: "nn.Module", inputs: Tensors, device: Device) -> Artifact:
        """Compiles a module for inputs of these shapes."""
        with self._failing():
            artifact = self.runtime.compile(module, inputs, device)
            self._check("compile", artifact, Artifact)
            return artifact  # type: ignore[no-any-return]  # checked

    def run(self, artifact: Artifact, inputs: Tensors, device: Device) -> Tensors:
        """What a program computes, in torch's layout."""
        with self._failing():
            outputs = self.runtime.run(artifact, inputs, device)
            self._check("run", outputs, tuple)
            return tuple(np.asarray(output) for output in outputs)

    def measure(
        self, artifact: Artifact, inputs: Tensors, device: Device, n_copies: int
    ) -> Samples:
        """Times a program that takes turns with copies of its weights."""
        with self._failing():
            samples = self.runtime.measure(artifact, inputs, device, n_copies)
            self._check("measure", samples, Samples)
            return samples  # type: ignore[no-any-return]  # checked

    @property
    def losses(self) -> Sequence[str]:
        """Reasons, one for each time that the device was lost and came back, if it tells."""
        with users_code(self.named):
            losses = tuple(getattr(self.runtime, "losses", ()))
            if not all(isinstance(reason, str) for reason in losses):
                raise ContractError("`losses` must give texts.")
            return losses

    def close(self) -> None:
        """Ends its processes."""
        with users_code(self.named):
            self.runtime.close()

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            with users_code(self.named):
                yield
        except RecipeError as error:
            raise MeasurementError(str(error)) from error
        except MeasurementError as error:
            if type(error) is not MeasurementError:  # of a device that was lost, and the like
                raise
            raise MeasurementError(f"{self.named}: {error}") from error

    def _check(self, method: str, value: object, kind: type) -> None:
        if not isinstance(value, kind):
            raise ContractError(
                f"`{method}` must give {kind.__name__}, but gave {type(value).__name__}."
            )
