"""Profiler, which fills a latency table."""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property

from tailorbird.latency_tables.devices.device import Device, provenance
from tailorbird.latency_tables.devices.locks import seat
from tailorbird.latency_tables.profiling.interleaving import InterleavedRounds
from tailorbird.latency_tables.profiling.preparation import Spent
from tailorbird.latency_tables.program import Program
from tailorbird.latency_tables.runtime import Runtime
from tailorbird.latency_tables.store.store import Store
from tailorbird.latency_tables.tables.configuration import Configuration
from tailorbird.latency_tables.tables.table import LatencyTable
from tailorbird.progress import Advance, Progress

_TAKING_TURNS = 16  # programs whose rounds are interleaved; a kill costs at most their compilation
_WAIT_S = 1.0  # between looks at what another profiler holds


@dataclass(frozen=True)
class Profiler:
    """Measures programs on a device into a store.

    Rounds of different programs are interleaved, so that those of one program lie apart in time.
    What is in the store already is not measured again; what failed is tried again. Several
    profilers share the work on one store: each claims a group at a time, and at the end waits for
    what others hold, or takes it over when their lease runs out.

    Attributes:
        runtime: compiles and times.
        device: on which programs are timed.
        batch: images that every program takes at once.
        store: keeps each round as soon as it is measured.
    """

    runtime: Runtime
    device: Device
    batch: int
    store: Store

    @cached_property
    def configuration(self) -> Configuration:
        """Configuration under which the store keeps rows."""
        return self.runtime.configuration(self.device, self.batch)

    def profile(
        self, programs: Sequence[Program], rounds: int, progress: Progress
    ) -> tuple[Spent, ...]:
        """Measures until each program has this many rounds, or has failed.

        Returns:
            What each program cost that was measured here.

        Raises:
            FaultyMachineError: if nothing at all can be measured.
        """
        known = {program.key: program for program in programs}
        taken = self.store.taken(self.configuration, rounds)
        failed = self.store.failed(self.configuration)
        left = [key for key in known if len(taken.get(key, ())) < rounds]
        left.sort(key=failed.__contains__)  # what may end a device must not end all the rest
        if not left:
            return ()
        steps = _Steps({key: 1 + rounds - len(taken.get(key, ())) for key in left})
        session = self.store.begin(provenance(self.device))
        with seat() as owner, steps.shown(progress):
            interleaved = InterleavedRounds(
                self.runtime,
                self.device,
                self.configuration,
                self.store,
                session,
                owner,
                steps.take,
            )
            try:
                interleaved.open()
                while left:
                    ours = self._claim(left, interleaved)
                    # Anew, as another may have finished what is ours now; all that is left only
                    # where others hold it, or a group would take longer the more groups there are.
                    taken = self.store.taken(self.configuration, rounds, ours or None)
                    missing = [known[key] for key in ours if len(taken.get(key, ())) < rounds]
                    again = interleaved.measure(missing, taken, rounds)
                    interleaved.release(ours)
                    done = {key for key in left if len(taken.get(key, ())) >= rounds} | set(ours)
                    steps.finish(done - again)
                    left = [key for key in left if key not in done]
                    left += [key for key in known if key in again]
                    if left and not ours:
                        time.sleep(_WAIT_S)
            finally:
                interleaved.reference.delete()
        return tuple(interleaved.spent.values())

    def timed(self, programs: Sequence[Program], rounds: int, progress: Progress) -> LatencyTable:
        """Profiles programs, and returns the table that the store has then.

        Raises:
            FaultyMachineError: if nothing at all can be measured.
        """
        self.profile(programs, rounds, progress)
        return self.store.table(self.configuration, self.device.name, rounds)

    @staticmethod
    def _claim(left: Sequence[str], interleaved: InterleavedRounds) -> list[str]:
        """Claims a few programs that nobody else has; none if others have all that are left."""
        for first in range(0, len(left), _TAKING_TURNS):
            group = left[first : first + _TAKING_TURNS]
            held = interleaved.claim(group)
            if held:
                return [key for key in group if key in held]
        return []


@dataclass(frozen=True, slots=True)
class _Steps:
    """Progress in pieces of work, by key; nothing counts twice, whatever was repeated."""

    left: dict[str, int]
    shown_by: list[Advance] = field(default_factory=list)

    @contextmanager
    def shown(self, progress: Progress) -> Iterator[None]:
        with progress.task("Profiling", sum(self.left.values())) as advance:
            self.shown_by.append(advance)
            yield

    def take(self, done: str, key: str) -> None:
        if self.left[key] > 0:
            self.left[key] -= 1
            for advance in self.shown_by:
                advance(f"{done} {key}")

    def finish(self, keys: Iterable[str]) -> None:
        for key in keys:
            while self.left[key] > 0:
                self.take("done", key)
