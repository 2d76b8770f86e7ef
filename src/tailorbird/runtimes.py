"""What a recipe compiles and times with, loaded when it is asked for."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tailorbird.errors import RecipeError
from tailorbird.latency_tables import Device, Runtime, Timing
from tailorbird.recipe import LatencySection

if TYPE_CHECKING:
    from tailorbird.latency_tables.tvm.remote import RemoteBench
    from tailorbird.latency_tables.tvm.tuning import Tuning


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
            from tailorbird.latency_tables.onnx import OnnxRuntime

            return OnnxRuntime(folder, Timing())
        case "openvino":
            from tailorbird.latency_tables.openvino import OpenVinoRuntime

            return OpenVinoRuntime(folder, Timing())
        case "torch":
            from tailorbird.latency_tables.eager import EagerRuntime

            return EagerRuntime(folder, Timing())
    from tailorbird.latency_tables.tvm import TvmRuntime

    return TvmRuntime(folder, Timing(), remote, tuning)


def remote_of(device: Device, folder: Path) -> "RemoteBench | None":
    """Where programs run for a device behind a server; None for this machine."""
    if device.server is None:
        return None
    from tailorbird.latency_tables.tvm.remote import RemoteBench

    return RemoteBench(device, folder, Timing())


def tuning_of(
    asked: LatencySection, device: Device, keys: Sequence[str], folder: Path
) -> "Tuning | None":
    """How kernels are tuned; None where the static rule schedules all.

    Args:
        asked: of a recipe.
        device: that is tuned for.
        keys: of the programs.
        folder: of databases, unless the recipe names one.

    Raises:
        RecipeError: if the device is behind a server.
    """
    if asked.n_trials is None:
        return None
    if device.server is not None:
        raise RecipeError(
            f"[latency] schedule = {asked.schedule!r} tunes for this machine only: for a "
            'remote device write schedule = "static".'
        )
    from tailorbird.latency_tables.tvm.tuning import Tuning

    where = Path(asked.tuning) if asked.tuning else folder
    return Tuning(where, device, tuple(keys), asked.n_trials, asked.tuning_minutes)
