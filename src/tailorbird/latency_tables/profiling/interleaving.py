"""Measures batches of claimed programs: compiles and checks each, then interleaves their rounds."""

import logging
import os
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tailorbird.errors import FaultyMachineError, LostDeviceError, MeasurementError
from tailorbird.latency_tables.devices.device import Device
from tailorbird.latency_tables.devices.locks import timing_lock
from tailorbird.latency_tables.profiling.drift_reference import Reference
from tailorbird.latency_tables.profiling.preparation import Compiled, Spent, prepare
from tailorbird.latency_tables.program import Program
from tailorbird.latency_tables.runtime import Runtime
from tailorbird.latency_tables.store.store import Store
from tailorbird.latency_tables.tables.configuration import Configuration
from tailorbird.latency_tables.tables.samples import Samples
from tailorbird.latency_tables.tables.table import LARGEST_DRIFT
from tailorbird.storage.atomic import FULL

_LOG = logging.getLogger("tailorbird")

LEASE_S = 120.0
"""Seconds after which others may take over what a profiler on another machine never released."""

EXTRA_TRIES = 2
"""Further tries of a round that the machine disturbed. The last is kept whatever the reference
says, with its drift, which the row's quality shows: on a machine that is never quiet nothing would
end otherwise, and to keep the best of several tries would flatter it."""


@dataclass(slots=True)
class InterleavedRounds:
    """Compiles and times the programs of one profiler, in interleaved rounds.

    Attributes:
        runtime: compiles and times.
        device: on which programs are timed.
        configuration: under which rows are kept.
        store: keeps each round as soon as it is measured.
        session: number of this session in the store.
        owner: in whose name programs are claimed.
        advance: called after each piece of work with its key.
    """

    runtime: Runtime
    device: Device
    configuration: Configuration
    store: Store
    session: int
    owner: str
    advance: Callable[[str, str], None]
    reference: Reference = field(init=False)
    spent: dict[str, Spent] = field(default_factory=dict)
    _floors: dict[str, float] = field(default_factory=dict)
    _losses: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        known = self.store.references(self.configuration)
        self.reference = Reference(self.runtime, self.device, known)

    def open(self) -> None:
        """Measures the drift reference for the first time.

        Raises:
            FaultyMachineError: if that fails; a full disk or a missing linker fails no program.
        """
        try:
            self._measure_reference()
        except LostDeviceError as lost:
            lost.wait()
            try:
                self._measure_reference()
            except LostDeviceError as again:
                raise FaultyMachineError(
                    f"Nothing can be measured: the reference workload lost the device twice "
                    f"({again}). Mend that, then run again: what was measured before is kept."
                ) from None

    def _measure_reference(self) -> None:
        with timing_lock(self.device.machine):
            self.reference.before()

    def claim(self, keys: Sequence[str]) -> set[str]:
        """Claims programs, or renews claims; returns the keys that are ours."""
        return self.store.claim(keys, self.configuration, self.owner, LEASE_S)

    def renew(self, keys: Sequence[str]) -> set[str]:
        """Renews claims; returns the keys that nobody else took meanwhile."""
        return self.store.renew(keys, self.configuration, self.owner, LEASE_S)

    def release(self, keys: Sequence[str]) -> None:
        """Gives up claims, so that others can measure the programs."""
        self.store.release(keys, self.configuration, self.owner)

    def measure(
        self, programs: Sequence[Program], taken: Mapping[str, Sequence[int | None]], rounds: int
    ) -> set[str]:
        """Compiles programs that are claimed, and times them in interleaved rounds.

        Args:
            programs: to time.
            taken: numbers of the rounds that the store has, by key.
            rounds: that each should have.

        Returns:
            Keys that are still to do: lost to another profiler, or measured while the machine was
            slower than it later turned out to be.
        """
        keys = [program.key for program in programs]
        turns: list[Compiled] = []
        try:
            for program in programs:
                compiled = self._prepared(program)
                if compiled is not None:
                    turns.append(compiled)
                self.advance("compiled", program.key)
                self.renew(keys)
            return self._take_turns(turns, taken, rounds)
        finally:
            for compiled in turns:
                compiled.artifact.delete()
            self.release(keys)

    def _prepared(self, program: Program) -> Compiled | None:
        """Compiles and checks a program; None if that failed, and the store has the reason."""
        spent = self.spent[program.key] = Spent(program.key)
        while True:
            try:
                return prepare(program, self.runtime, self.device, self.store, spent)
            except LostDeviceError as lost:
                if not self._found_again(program.key, lost):
                    return None
            except MeasurementError as error:
                self._fail(program.key, error)
                return None

    def _found_again(self, key: str, lost: LostDeviceError) -> bool:
        """Waits for a lost device; false if this program loses it for the second time.

        Whether the program or the device is to blame cannot be told the first time: a program may
        have ended its server. It fails where the device does not come back either, so that the
        next run does not begin with it.

        Raises:
            FaultyMachineError: if the device does not come back.
        """
        try:
            lost.wait()
        except FaultyMachineError:
            self._fail(key, MeasurementError(f"the device was lost while it ran ({lost})"))
            raise
        self._losses[key] += 1
        if self._losses[key] > 1:
            self._fail(key, MeasurementError(f"the device was lost twice while it ran ({lost})"))
            return False
        return True

    def _take_turns(
        self, turns: Sequence[Compiled], taken: Mapping[str, Sequence[int | None]], rounds: int
    ) -> set[str]:
        keys = [compiled.program.key for compiled in turns]
        queue = deque(
            (compiled, round_, EXTRA_TRIES)
            for round_ in range(rounds)
            for compiled in turns
            if round_ in _missing(taken.get(compiled.program.key, ()), rounds)
        )
        gone: set[str] = set()
        again: set[str] = set()
        while queue:
            compiled, round_, tries_left = queue.popleft()
            key = compiled.program.key
            if key in gone:
                continue
            try:
                samples, reference_ms = self._time(compiled)
            except FaultyMachineError:
                raise
            except LostDeviceError as lost:
                if self._found_again(key, lost):
                    queue.appendleft((compiled, round_, tries_left))
                else:
                    gone.add(key)
                    self.advance("failed", key)
                continue
            except MeasurementError as error:
                self._fail(key, error)
                gone.add(key)
                self.advance("failed", key)
                continue
            floor_ms = self.reference.floor_ms
            row = (key, self.configuration, self.session, round_, samples, reference_ms)
            if key not in self.renew(keys):  # our lease ran out: it is another's to measure
                again.add(key)
            elif reference_ms > LARGEST_DRIFT * floor_ms and tries_left:
                self.store.discard(*row)
                queue.append((compiled, round_, tries_left - 1))
            else:
                facts = {"n_copies": str(compiled.n_copies)}
                self.store.add(*row, facts | compiled.artifact.provenance)
                self._floors.setdefault(key, floor_ms)
                self.advance("timed", key)
            again |= self._retract(floor_ms)
            gone |= again
        return again

    def _time(self, compiled: Compiled) -> tuple[Samples, float]:
        """Times one round alone on the device.

        Returns:
            Its samples, and the slower of the reference's latencies before and after, in ms.
        """
        begin = time.perf_counter()
        with timing_lock(self.device.machine):
            before = self.reference.before()
            samples = self.runtime.measure(
                compiled.artifact, compiled.inputs, self.device, compiled.n_copies
            )
            after = self.reference.after()
        self.spent[compiled.program.key].time_s += time.perf_counter() - begin
        return samples, max(before, after)

    def _retract(self, floor_ms: float) -> set[str]:
        """Fails the programs that were timed while the machine was slow from the start.

        Their rounds were kept, as the reference's floor was too high then. Rows only grow, and
        what lies before a failure does not count.

        Returns:
            Keys of these programs.
        """
        slow = {key for key, then in self._floors.items() if then > LARGEST_DRIFT * floor_ms}
        for key in slow:
            del self._floors[key]
            reason = "it was measured while the machine was slow, as later references showed"
            self._fail(key, MeasurementError(reason))
        return slow

    def _fail(self, key: str, error: MeasurementError) -> None:
        if (said := _full_disk(error)) is not None:
            raise FaultyMachineError(
                f"{key} cannot be measured, and is not to blame: {said}. Make room, then run "
                "again: what was measured before is kept."
            ) from error
        self.store.fail(key, self.configuration, self.session, str(error))
        _LOG.warning("%s failed: %s", key, error)


def _full_disk(error: BaseException | None) -> str | None:
    """What a linker, a library or the system said about a disk that is full; None if nothing."""
    while error is not None:
        text = str(error)
        said = next((os.strerror(code) for code in FULL if os.strerror(code) in text), None)
        if said is not None:
            return said
        error = error.__cause__
    return None


def _missing(taken: Sequence[int | None], rounds: int) -> list[int]:
    """Numbers for the rounds that are missing, lowest first; a kill may have left a gap."""
    free = [number for number in range(rounds) if number not in taken]
    return free[: max(0, rounds - len(taken))]
