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
from tailorbird.latency_tables.tables.drift import Floor

_FRESH_S = 1.0  # a latency older than this says nothing of the moment before a round
_FIRST = 5  # latencies before the first round, so that one slow start does not set the floor
_TRIES = 2  # of one latency: a worker that died must not cost the program of the round its row


def _dense() -> Program:
    from torch import nn

    return Program("reference", lambda: nn.Linear(256, 256), ((64, 256),))


@dataclass(slots=True)
class Reference:
    """A dense layer, compiled once a session; use it with the device's timing lock held.

    Attributes:
        runtime: compiles and times it.
        device: on which it is timed.
        known_ms: latencies of earlier sessions, without which a machine that is slow from the
            start would not show.
        ms: every latency of this session.
    """

    runtime: Runtime
    device: Device
    known_ms: Sequence[float] = ()
    ms: list[float] = field(default_factory=list)
    _floor: Floor = field(init=False)
    _artifact: Artifact | None = field(default=None, init=False)
    _taken_at: float = field(default=float("-inf"), init=False)

    def __post_init__(self) -> None:
        self._floor = Floor([*self.known_ms, *self.ms])

    @property
    def floor_ms(self) -> float:
        """Latency on the quiet machine in milliseconds, as far as is known."""
        return self._floor.ms

    def delete(self) -> None:
        """Removes the compiled program."""
        if self._artifact is not None:
            self._artifact.delete()
            self._artifact = None

    def before(self) -> float:
        """Latency in milliseconds before a round: that after the last round, if it is fresh.

        Raises:
            FaultyMachineError: if it cannot be compiled or measured.
        """
        while len(self.ms) < _FIRST or time.monotonic() - self._taken_at > _FRESH_S:
            self.after()
        return self.ms[-1]

    def after(self) -> float:
        """Measures the latency now, in milliseconds.

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
        self._floor.add(self.ms[-1])
        self._taken_at = time.monotonic()
        return self.ms[-1]

    def _measure(self) -> float:
        program = _dense()
        inputs = program.examples(0)
        if self._artifact is None:
            self._artifact = self.runtime.compile(program.module(), inputs, self.device)
        samples = self.runtime.measure(self._artifact, inputs, self.device, n_copies=1)
        return float(np.median(samples.ms))
