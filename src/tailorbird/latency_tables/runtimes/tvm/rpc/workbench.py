"""A workbench whose programs run behind an RPC server, which may be killed, frozen or restarted."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from tailorbird.errors import FaultyMachineError, LostDeviceError, RecipeError, UnansweredError
from tailorbird.latency_tables.devices.device import Device
from tailorbird.latency_tables.devices.rpc_address import RpcAddress
from tailorbird.latency_tables.runtime import Artifact, Tensors, Timing
from tailorbird.latency_tables.runtimes.process.workbench import Workbench
from tailorbird.latency_tables.runtimes.tvm.rpc.client import facts_of
from tailorbird.latency_tables.tables.samples import Samples

_LOG = logging.getLogger("tailorbird")

PATIENCE_S = 60.0
"""Seconds for which a device that was lost is waited for."""


class RemoteBench:
    """Runs and times compiled programs on a device that may be lost meanwhile.

    Args:
        device: behind a server.
        folder: for programs and arrays in transit; emptied before its first use.
        timing: how a round goes.

    Attributes:
        losses: why, each time that the device was lost and came back.
    """

    def __init__(self, device: Device, folder: Path, timing: Timing) -> None:
        assert device.server is not None
        self._server: RpcAddress = device.server
        self._triple = device.target.triple
        arguments = (json.dumps(self._server.facts), device.cpu, str(device.threads))
        self._bench = Workbench(
            "tailorbird.latency_tables.runtimes.tvm.rpc.timer", folder, timing, arguments
        )
        self.losses: list[str] = []

    def new_path(self, suffix: str) -> Path:
        """Returns a path for a program; nothing else has its stem."""
        return self._bench.new_path(suffix)

    def run(self, artifact: Artifact, inputs: Tensors, device: Device) -> Tensors:
        """Runs a program once; returns its outputs.

        Raises:
            MeasurementError: if it does not work.
            LostDeviceError: if the device is lost; whoever holds locks must free them to wait.
        """
        with self._noticed():
            return self._bench.run(artifact, inputs, device)

    def measure(
        self, artifact: Artifact, inputs: Tensors, device: Device, n_copies: int
    ) -> Samples:
        """Times a program; errors are those of `run`."""
        with self._noticed():
            return self._bench.measure(artifact, inputs, device, n_copies)

    def close(self) -> None:
        """Ends the worker, and with it the session."""
        self._bench.close()

    @contextmanager
    def _noticed(self) -> Iterator[None]:
        try:
            yield
        except UnansweredError as lost:
            self.close()
            _LOG.warning("The device %s was lost: %s.", self._server, lost)
            raise LostDeviceError(str(lost), partial(self._wait, str(lost))) from None

    def _wait(self, lost: str) -> None:
        """Waits until the device is there again."""
        try:
            facts_of(self._server, self._triple, PATIENCE_S)
        except RecipeError as error:
            raise FaultyMachineError(
                f"The device {self._server} was lost ({lost}) and did not come back within "
                f"{PATIENCE_S:g} s ({error}) What was measured is kept: run again when it is back."
            ) from None
        self.losses.append(lost)
        _LOG.warning("The device %s is back: what it was doing is done again.", self._server)
