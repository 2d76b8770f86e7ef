"""Classes of runtimes, which recipes name."""

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from tailorbird.latency_tables.devices.device import Device
from tailorbird.latency_tables.runtime import Runtime, Timing

if TYPE_CHECKING:
    from tailorbird.latency_tables.runtimes.tvm.tuning.tuning import Tuning


class RuntimeKind(Protocol):
    """A class of runtimes, which recipes name."""

    @property
    def name(self) -> str:
        """Runtime in the configuration of everything that it measures."""

    def on(self, device: Device, folder: Path, timing: Timing, tuning: "Tuning | None") -> Runtime:
        """A runtime for a device.

        Args:
            device: that programs are to run on.
            folder: for compiled programs.
            timing: how a round goes.
            tuning: decides about schedules of TVM's kernels; None for other runtimes.

        Raises:
            MissingPackageError: if it is not installed.
        """
