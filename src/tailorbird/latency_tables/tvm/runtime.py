"""Apache TVM as a runtime: the reference for latency tables."""

from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tailorbird.errors import MeasurementError, RecipeError
from tailorbird.latency_tables.device import Configuration, Device
from tailorbird.latency_tables.runtime import Artifact, Samples, Tensors, Timing
from tailorbird.latency_tables.sampling import PROTOCOL
from tailorbird.latency_tables.tvm.target import SCHEDULE
from tailorbird.latency_tables.workbench import Workbench

if TYPE_CHECKING:
    from torch import nn


class TvmRuntime:
    """Compiles with our static schedules into shared libraries, and times them in a worker.

    Args:
        folder: for libraries and arrays in transit; emptied before its first use.
        timing: how a round goes.
    """

    def __init__(self, folder: Path, timing: Timing) -> None:
        self._bench = Workbench("tailorbird.latency_tables.tvm.timer", folder, timing)

    def configuration(self, device: Device, batch: int) -> Configuration:
        """What its measurements on a device are comparable by."""
        return Configuration(
            cpu=device.cpu,
            target=str(device.target),
            threads=device.threads,
            batch=batch,
            runtime="tvm",
            runtime_version=version("apache-tvm"),
            schedule=SCHEDULE,
            timing=PROTOCOL,
        )

    def compile(self, module: "nn.Module", inputs: Tensors, device: Device) -> Artifact:
        """Compiles a module for inputs of these shapes."""
        import torch

        from tailorbird.latency_tables.tvm.build import build_library

        path = self._bench.new_path(".so")
        try:
            unscheduled = build_library(
                module, tuple(map(torch.from_numpy, inputs)), device.target, device.threads, path
            )
        except RecipeError:  # of a target that LLVM does not know
            raise
        except Exception as error:  # whatever a compiler raises becomes the row's reason
            raise MeasurementError.of("TVM could not compile it", error) from error
        return Artifact(path, {"unscheduled_kernels": ",".join(unscheduled)})

    def run(self, artifact: Artifact, inputs: Tensors, device: Device) -> Tensors:
        """What a program computes, in torch's layout."""
        outputs = self._bench.run(artifact, _channels_last(inputs), device)
        return tuple(_moved(y, -1, 1) for y in outputs)

    def measure(
        self, artifact: Artifact, inputs: Tensors, device: Device, n_copies: int
    ) -> Samples:
        """Times a program that takes turns with copies of its weights."""
        return self._bench.measure(artifact, _channels_last(inputs), device, n_copies)

    def close(self) -> None:
        """Ends the worker; the next measurement starts another."""
        self._bench.close()


def _channels_last(inputs: Tensors) -> Tensors:
    return tuple(_moved(x, 1, -1) for x in inputs)


def _moved(x: np.ndarray, source: int, target: int) -> np.ndarray:
    """4-d arrays between torch's layout and the channels-last one of our programs."""
    return np.ascontiguousarray(np.moveaxis(x, source, target)) if x.ndim == 4 else x
