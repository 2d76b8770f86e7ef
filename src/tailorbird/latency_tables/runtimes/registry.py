"""The runtimes that recipes know by name: a line each; modules are loaded when one is made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from tailorbird.latency_tables.devices.device import Device
from tailorbird.latency_tables.runtime import Runtime, Timing

if TYPE_CHECKING:
    from tailorbird.latency_tables.runtimes.tvm.tuning.tuning import Tuning


class DeviceRuntime(Runtime, Protocol):
    """A runtime that was made for one device, which may be away for a while."""

    @property
    def losses(self) -> Sequence[str]:
        """Reasons, one for each time that the device was lost and came back."""


@dataclass(frozen=True, slots=True)
class RuntimeEntry:
    """A runtime as recipes name it.

    Attributes:
        path: its class, `package.module:name`; `on` makes it for a device.
        schedule: what `[latency] schedule` is, if a recipe does not say.
    """

    path: str
    schedule: str


_HERE = "tailorbird.latency_tables.runtimes"
RUNTIMES: Mapping[str, RuntimeEntry] = {
    "tvm": RuntimeEntry(f"{_HERE}.tvm:TvmRuntime", "static"),
    "onnxruntime": RuntimeEntry(f"{_HERE}.onnxruntime:OnnxRuntime", "default"),
    "openvino": RuntimeEntry(f"{_HERE}.openvino:OpenVinoRuntime", "default"),
    "torch": RuntimeEntry(f"{_HERE}.torch_eager:EagerRuntime", "eager"),
}
"""Runtimes by the name of `[latency] runtime`."""


def runtime_of(name: str, folder: Path, device: Device, tuning: "Tuning | None") -> DeviceRuntime:
    """The runtime of that name.

    Args:
        name: as recipes have it.
        folder: for compiled programs.
        device: that programs are to run on.
        tuning: decides about schedules of TVM's kernels, if there is any.

    Raises:
        RecipeError: if it is not installed.
    """
    module, _, kind = RUNTIMES[name].path.partition(":")
    made: DeviceRuntime = getattr(import_module(module), kind).on(device, folder, Timing(), tuning)
    return made
