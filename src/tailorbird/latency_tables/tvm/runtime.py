"""Apache TVM as a runtime: the reference for latency tables."""

import shutil
from functools import cached_property
from importlib.metadata import version
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tailorbird.errors import MeasurementError
from tailorbird.latency_tables.device import Configuration, Device
from tailorbird.latency_tables.runtime import Artifact, Samples, Tensors, Timing
from tailorbird.latency_tables.tvm.target import SCHEDULE, llvm_cpu
from tailorbird.latency_tables.worker import Worker

if TYPE_CHECKING:
    from torch import nn

_STARTUP_S = 60.0  # importing TVM takes seconds on a cold disk


class TvmRuntime:
    """Compiles with our static schedules into shared libraries, and times them in a worker.

    Args:
        folder: for libraries and arrays in transit; emptied before its first use.
        timing: how a round goes.
    """

    def __init__(self, folder: Path, timing: Timing) -> None:
        self.folder = folder
        self.timing = timing
        self._worker: Worker | None = None
        self._names = count()

    def configuration(self, device: Device, batch: int) -> Configuration:
        """What its measurements on a device are comparable by."""
        return Configuration(
            cpu=device.cpu,
            target=llvm_cpu(device.flags),
            threads=device.threads,
            batch=batch,
            runtime="tvm",
            runtime_version=version("apache-tvm"),
            schedule=SCHEDULE,
        )

    def compile(self, module: "nn.Module", inputs: Tensors, device: Device) -> Artifact:
        """Compiles a module for inputs of these shapes."""
        import torch

        from tailorbird.latency_tables.tvm.build import build_library

        path = self._emptied_folder / f"{next(self._names)}.so"
        try:
            unscheduled = build_library(
                module, tuple(map(torch.from_numpy, inputs)), llvm_cpu(device.flags), path
            )
        except Exception as error:  # whatever a compiler raises becomes the row's reason
            reason = f"{type(error).__name__}: {str(error).strip().splitlines()[-1]}"
            raise MeasurementError(f"TVM could not compile it ({reason})") from error
        return Artifact(path, {"unscheduled_kernels": ",".join(unscheduled)})

    def measure(self, artifact: Artifact, inputs: Tensors, device: Device) -> Samples:
        """Runs and times a program."""
        given, taken = artifact.path.with_suffix(".in.npz"), artifact.path.with_suffix(".out.npz")
        if not given.exists():
            np.savez(given, *(_moved(x, 1, -1) for x in inputs))
        fresh = self._worker is None
        if self._worker is None:
            self._worker = Worker(
                "tailorbird.latency_tables.tvm.timer",
                device.threads,
                self._emptied_folder / "worker.log",
            )
        request = {
            "library": str(artifact.path),
            "inputs": str(given),
            "outputs": str(taken),
            "warmup_ms": self.timing.warmup_ms,
            "repeats": self.timing.repeats,
            "repeat_ms": self.timing.repeat_ms,
            "limit_s": self.timing.limit_s,
        }
        limit_s = self.timing.limit_s + (_STARTUP_S if fresh else 0)
        try:
            answer = self._worker.ask(request, limit_s)
        except MeasurementError:
            self.close()
            raise
        with np.load(taken) as arrays:
            outputs = tuple(_moved(arrays[name], -1, 1) for name in arrays.files)
        return Samples(np.array(answer["ms"]), outputs)

    def close(self) -> None:
        """Ends the worker; the next measurement starts another."""
        if self._worker is not None:
            self._worker.kill()
            self._worker = None

    @cached_property
    def _emptied_folder(self) -> Path:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        return self.folder


def _moved(x: np.ndarray, source: int, target: int) -> np.ndarray:
    """4-d arrays between torch's layout and the channels-last one of our programs."""
    return np.ascontiguousarray(np.moveaxis(x, source, target)) if x.ndim == 4 else x
