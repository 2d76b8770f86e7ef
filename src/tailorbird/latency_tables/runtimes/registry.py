"""What a recipe compiles and times with, loaded when it is asked for."""

from pathlib import Path
from typing import TYPE_CHECKING

from tailorbird.latency_tables import Device, Runtime, Timing

if TYPE_CHECKING:
    from tailorbird.latency_tables.runtimes.tvm.rpc.workbench import RemoteBench
    from tailorbird.latency_tables.runtimes.tvm.tuning.tuning import Tuning


def runtime_of(
    name: str, folder: Path, remote: "RemoteBench | None", tuning: "Tuning | None"
) -> Runtime:
    """The runtime of that name.

    Args:
        name: as recipes have it.
        folder: for compiled programs.
        remote: where TVM's programs run, if it is not this machine.
        tuning: decides about schedules of TVM's kernels, if there is any.

    Raises:
        RecipeError: if it is not installed.
    """
    match name:
        case "onnxruntime":
            from tailorbird.latency_tables.runtimes.onnxruntime import OnnxRuntime

            return OnnxRuntime(folder, Timing())
        case "openvino":
            from tailorbird.latency_tables.runtimes.openvino import OpenVinoRuntime

            return OpenVinoRuntime(folder, Timing())
        case "torch":
            from tailorbird.latency_tables.runtimes.torch_eager import EagerRuntime

            return EagerRuntime(folder, Timing())
    from tailorbird.latency_tables.runtimes.tvm import TvmRuntime

    return TvmRuntime(folder, Timing(), remote, tuning)


def remote_of(device: Device, folder: Path) -> "RemoteBench | None":
    """Where programs run for a device behind a server; None for this machine."""
    if device.server is None:
        return None
    from tailorbird.latency_tables.runtimes.tvm.rpc.workbench import RemoteBench

    return RemoteBench(device, folder, Timing())
