"""Workbench for running and timing programs: a folder, and a process that may be killed."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from tailorbird.errors import MeasurementError
from tailorbird.latency_tables.devices.device import Device
from tailorbird.latency_tables.runtime import Artifact, Tensors, Timing
from tailorbird.latency_tables.runtimes.process.transit import TransitFolder
from tailorbird.latency_tables.runtimes.process.worker import Worker
from tailorbird.latency_tables.tables.samples import Samples

_STARTUP_S = 60.0  # importing a runtime takes seconds on a cold disk


class Workbench:
    """Runs and times compiled programs in a worker process; each runtime has one.

    Args:
        module: that serves requests, see `service.py`.
        folder: for programs and arrays in transit; emptied before its first use.
        timing: how a round goes.
        arguments: of the module, after its cores.

    Attributes:
        losses: empty, as this machine is never lost.
    """

    losses: Sequence[str] = ()

    def __init__(
        self, module: str, folder: Path, timing: Timing, arguments: Sequence[str] = ()
    ) -> None:
        self._module = module
        self._transit = TransitFolder(folder)
        self._timing = timing
        self._arguments = arguments
        self._worker: Worker | None = None

    def new_path(self, suffix: str) -> Path:
        """Returns a path for a program; nothing else has its stem."""
        return self._transit.new_path(suffix)

    def run(self, artifact: Artifact, inputs: Tensors, device: Device) -> Tensors:
        """Runs a program once; returns its outputs.

        Raises:
            MeasurementError: if it crashes, hangs or cannot be loaded.
        """
        outputs = self.new_path(".npz")
        try:
            self._ask(
                artifact, inputs, device, {"do": "run", "n_copies": 1, "outputs": str(outputs)}
            )
            with np.load(outputs) as arrays:
                return tuple(arrays[name] for name in arrays.files)
        finally:
            outputs.unlink(missing_ok=True)

    def measure(
        self, artifact: Artifact, inputs: Tensors, device: Device, n_copies: int
    ) -> Samples:
        """Times a program.

        Raises:
            MeasurementError: if it crashes, hangs or cannot be loaded, or its samples are no times.
        """
        request = {"do": "measure", "n_copies": n_copies, "timing": asdict(self._timing)}
        answer = self._ask(artifact, inputs, device, request)
        return Samples(np.array(answer["ms"]), np.array(answer["hot_ms"]))

    def close(self) -> None:
        """Ends the worker; the next request starts another."""
        if self._worker is not None:
            self._worker.kill()
            self._worker = None

    def _ask(
        self, artifact: Artifact, inputs: Tensors, device: Device, request: dict[str, Any]
    ) -> dict[str, Any]:
        limit_s = self._timing.limit_s
        if self._worker is None:
            log = self._transit.path() / "worker.log"
            self._worker = Worker(self._module, device.threads, log, self._arguments)
            limit_s += _STARTUP_S
        arrays = self.new_path(".npz")
        np.savez(arrays, *inputs)
        request |= {"program": str(artifact.path), "inputs": str(arrays)}
        try:
            return self._worker.ask(request | {"limit_s": limit_s}, limit_s)
        except MeasurementError:
            if not self._worker.is_alive:
                self.close()
            raise
        finally:
            arrays.unlink(missing_ok=True)
