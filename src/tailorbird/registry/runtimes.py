"""Runtimes by the names of `[latency] runtime`: a line each."""

from collections.abc import Mapping
from dataclasses import dataclass

from tailorbird.errors import require


@dataclass(frozen=True, slots=True)
class RuntimeEntry:
    """A runtime, and the schedule that recipes have with it.

    Attributes:
        path: Python path of its class; `on` makes it for a device, unless a command does.
        schedule: what `[latency] schedule` is, if a recipe does not say.
        packages: that measuring with it needs, by the names that they are imported by.
        extra: of tailorbird, that installs them.
    """

    path: str
    schedule: str
    packages: tuple[str, ...] = ()
    extra: str = ""


COMMAND = "command"
"""The runtime that recipes give a command of the user's own."""

_HERE = "tailorbird.latency_tables.runtimes"
_ONNX = ("onnx", "onnxscript", "torch")
RUNTIMES: Mapping[str, RuntimeEntry] = {
    "tvm": RuntimeEntry(f"{_HERE}.tvm:TvmRuntime", "static", ("tvm", "torch"), "tvm"),
    "onnxruntime": RuntimeEntry(
        f"{_HERE}.onnxruntime:OnnxRuntime", "default", ("onnxruntime", *_ONNX), "onnxruntime"
    ),
    "openvino": RuntimeEntry(
        f"{_HERE}.openvino:OpenVinoRuntime", "default", ("openvino", *_ONNX), "openvino"
    ),
    "torch": RuntimeEntry(f"{_HERE}.torch_eager:EagerRuntime", "eager", ("torch",), "training"),
    COMMAND: RuntimeEntry(f"{_HERE}.command:CommandRuntime", COMMAND, _ONNX, COMMAND),
}


def require_packages(name: str) -> None:
    """Refuses to go on without what measuring with a runtime needs.

    Args:
        name: registered; of a Python path nothing is known.

    Raises:
        MissingPackageError: if any of it is not installed.
    """
    if name in RUNTIMES:
        entry = RUNTIMES[name]
        require(*entry.packages, purpose=f"Measuring with the runtime {name!r}", extra=entry.extra)
