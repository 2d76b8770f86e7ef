"""A fixed program that is timed between others, and shows when the machine drifts.

A machine may run at half its speed for minutes with nothing of ours running. Samples of one round
agree with each other then, so they cannot show it; a program that always does the same can.

What was measured while the reference was slow is discarded and measured again. It is not divided
by the reference: that adds the reference's own noise, up to a tenth, to rounds that were quiet.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from tailorbird.errors import FaultyMachineError, LostDeviceError, MeasurementError
from tailorbird.latency_tables.devices.device import Device
from tailorbird.latency_tables.program import Program
from tailorbird.latency_tables.runtime import Artifact, Runtime
from tailorbird.latency_tables.tables.drift import floor

_FRESH_S = 1.0  # a reference older than this says nothing of the time before a slot
_FIRST = 5  # references before the first slot, so that one slow start does not set the floor
_TRIES = 2  # of one reference: a worker that died must not cost the program in the slot its row


def _dense() -> Program:
    from torch import nn

    return Program("reference", lambda: nn.Linear(256, 256), ((64, 256),))


@dataclass(slots=True)
class Reference:
    """A dense layer, compiled once a session; use it with the device's timing lock held.

    Attributes:
        runtime: compiles and times it.
        device: is measured.
        known_ms: of earlier sessions: a machine that is slow from the start shows only so.
        ms: every round of it in this session, in milliseconds.
    """

    runtime: Runtime
    device: Device
    known_ms: Sequence[float] = ()
    ms: list[float] = field(default_factory=list)
    _artifact: Artifact | None = field(default=None, init=False)
    _taken_at: float = field(default=float("-inf"), init=False)

    @property
    def floor_ms(self) -> float:
        """What it takes on the quiet machine, as far as is known."""
        return floor([*self.known_ms, *self.ms])

    def delete(self) -> None:
        """Removes its program."""
        if self._artifact is not None:
            self._artifact.delete()
            self._artifact = None

    def before(self) -> float:
        """Milliseconds before a slot: those after the slot before, if they are fresh.

        Raises:
            FaultyMachineError: if it cannot be compiled or measured.
        """
        while len(self.ms) < _FIRST or time.monotonic() - self._taken_at > _FRESH_S:
            self.after()
        return self.ms[-1]

    def after(self) -> float:
        """Milliseconds now.

        Raises:
            FaultyMachineError: if it cannot be compiled or measured.
        """
        for tries_left in reversed(range(_TRIES)):
            try:
                self.ms.append(self._measure())
                break
            except LostDeviceError:  # is waited for, and then all is done again
                raise
            except MeasurementError as error:
                if not tries_left:
                    raise FaultyMachineError(
                        f"Nothing can be measured here: the reference workload failed ({error}). "
                        "Mend that, then run again: what was measured before is kept."
                    ) from error
        self._taken_at = time.monotonic()
        return self.ms[-1]

    def _measure(self) -> float:
        program = _dense()
        inputs = program.examples(0)
        if self._artifact is None:
            self._artifact = self.runtime.compile(program.module(), inputs, self.device)
        samples = self.runtime.measure(self._artifact, inputs, self.device, n_copies=1)
        return float(np.median(samples.ms))
