"""Runtimes by the names of `[latency] runtime`: a line each."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RuntimeEntry:
    """A runtime, and the schedule that recipes have with it.

    Attributes:
        path: Python path of its class; `on` makes it for a device, unless a command does.
        schedule: what `[latency] schedule` is, if a recipe does not say.
    """

    path: str
    schedule: str


COMMAND = "command"
"""The runtime that recipes give a command of the user's own."""

_HERE = "tailorbird.latency_tables.runtimes"
RUNTIMES: Mapping[str, RuntimeEntry] = {
    "tvm": RuntimeEntry(f"{_HERE}.tvm:TvmRuntime", "static"),
    "onnxruntime": RuntimeEntry(f"{_HERE}.onnxruntime:OnnxRuntime", "default"),
    "openvino": RuntimeEntry(f"{_HERE}.openvino:OpenVinoRuntime", "default"),
    "torch": RuntimeEntry(f"{_HERE}.torch_eager:EagerRuntime", "eager"),
    COMMAND: RuntimeEntry(f"{_HERE}.command:CommandRuntime", COMMAND),
}
