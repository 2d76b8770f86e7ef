"""Apache TVM as a runtime: the reference for latency tables."""

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from tailorbird.errors import DeviceError, MeasurementError, MissingStepError, raising
from tailorbird.latency_tables.devices.device import Device
from tailorbird.latency_tables.runtime import Artifact, Tensors, Timing
from tailorbird.latency_tables.runtimes.process.workbench import Workbench
from tailorbird.latency_tables.runtimes.tvm.rpc.workbench import RemoteBench
from tailorbird.latency_tables.runtimes.tvm.target import SCHEDULE, TIMING
from tailorbird.latency_tables.runtimes.tvm.tuning.tuning import Tuning
from tailorbird.latency_tables.tables.configuration import Configuration
from tailorbird.latency_tables.tables.samples import Samples

if TYPE_CHECKING:
    from torch import nn


class TvmRuntime:
    """Compiles with our static schedules into shared libraries, and times them in a worker.

    Args:
        folder: for libraries and arrays in transit; emptied before its first use.
        timing: how a round goes.
        remote: where programs run, if it is not this machine.
        tuning: decides about kernels that are not scheduled by the static rule.
    """

    name: ClassVar = "tvm"

    def __init__(
        self,
        folder: Path,
        timing: Timing,
        remote: RemoteBench | None = None,
        tuning: Tuning | None = None,
    ) -> None:
        self._bench = remote or Workbench(
            "tailorbird.latency_tables.runtimes.tvm.timer", folder, timing
        )
        self._tuning = tuning

    @classmethod
    def on(cls, device: Device, folder: Path, timing: Timing, tuning: Tuning | None) -> Self:
        """The runtime for a device, which may be behind a server."""
        remote = None if device.server is None else RemoteBench(device, folder, timing)
        return cls(folder, timing, remote, tuning)

    @property
    def losses(self) -> Sequence[str]:
        """Reasons, one for each time that the device was lost and came back."""
        return self._bench.losses

    def configuration(self, device: Device, batch: int) -> Configuration:
        """Configuration of its measurements on a device: what makes them comparable."""
        return Configuration(
            cpu=device.cpu,
            target=str(device.target),
            threads=device.threads,
            batch=batch,
            runtime=self.name,
            runtime_version=version("apache-tvm"),
            schedule=SCHEDULE if self._tuning is None else self._tuning.schedule(),
            timing=TIMING,
        )

    def compile(self, module: "nn.Module", inputs: Tensors, device: Device) -> Artifact:
        """Compiles a module for inputs of these shapes."""
        import torch

        from tailorbird.latency_tables.runtimes.tvm.compile.build import (
            build_library,
            build_tuned_library,
        )

        path = self._bench.new_path(".so")
        tensors = tuple(map(torch.from_numpy, inputs))
        where = device.target, device.threads, path
        reason = partial(MeasurementError.of, "TVM could not compile it")
        # These pass: a target LLVM does not know; nothing was tuned.
        with raising(reason, DeviceError, MissingStepError):
            if self._tuning is None:
                unscheduled = build_library(module, tensors, *where)
                return Artifact(path, {"unscheduled_kernels": ",".join(unscheduled)})
            kernels = build_tuned_library(module, tensors, *where, self._tuning.plans())
        names = asdict(kernels).items()
        return Artifact(path, {f"{kind}_kernels": ",".join(of) for kind, of in names})

    def run(self, artifact: Artifact, inputs: Tensors, device: Device) -> Tensors:
        """Runs a program once; returns its outputs, in torch's layout."""
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
