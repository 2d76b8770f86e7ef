"""Fills a latency table."""

import logging
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from filelock import FileLock

from tailorbird.errors import MeasurementError
from tailorbird.latency_tables.device import Configuration, Device, provenance
from tailorbird.latency_tables.runtime import Artifact, FloatArray, Runtime, Tensors
from tailorbird.latency_tables.store import Store
from tailorbird.progress import Progress
from tailorbird.spaces import Workload

if TYPE_CHECKING:
    from torch import nn

_LOG = logging.getLogger("tailorbird")

TOLERANCE = 1e-4
"""Largest difference from torch, relative to the largest output; beyond it a row is refused."""

_TAKING_TURNS = 32  # programs measured in turns; a kill costs at most their compilation


@dataclass(frozen=True, slots=True)
class Program:
    """Something to time under a key.

    Attributes:
        key: under which the store keeps it.
        build: makes the torch module.
        inputs: shape of each input, as torch takes them.
    """

    key: str
    build: Callable[[], "nn.Module"]
    inputs: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, workload: Workload) -> "Program":
        """A workload with fresh weights.

        Raises:
            ValueError: if it is not in float32; nothing else is measured yet.
        """
        if workload.dtype != "f32":
            raise ValueError(f"`dtype == 'f32'` must hold, but got {workload.dtype!r}.")
        return cls(workload.key, workload.build, workload.inputs)


@dataclass(frozen=True, slots=True)
class _Compiled:
    program: Program
    artifact: Artifact
    inputs: Tensors
    expected: Tensors


@dataclass(frozen=True, slots=True)
class Profiler:
    """Measures programs on a device into a store.

    Rounds of different programs take turns, so that the rounds of one program lie apart in time.
    What is in the store already is not measured again; what failed is tried again.

    Attributes:
        runtime: compiles and times.
        device: is measured.
        batch: images that every program takes at once.
        store: keeps each round as soon as it is measured.
    """

    runtime: Runtime
    device: Device
    batch: int
    store: Store

    @property
    def configuration(self) -> Configuration:
        """Under which rows are kept."""
        return self.runtime.configuration(self.device, self.batch)

    def profile(self, programs: Sequence[Program], rounds: int, progress: Progress) -> None:
        """Measures until each program has this many rounds, or has failed."""
        programs = list({program.key: program for program in programs}.values())
        taken = {key: len(done) for key, done in self.store.rounds(self.configuration).items()}
        missing = [p for p in programs if taken.get(p.key, 0) < rounds]
        if not missing:
            return
        session = self.store.begin(provenance())
        total = sum(1 + rounds - taken.get(p.key, 0) for p in missing)
        with progress.task("Profiling", total) as advance:
            for first in range(0, len(missing), _TAKING_TURNS):
                turns = []
                for program in missing[first : first + _TAKING_TURNS]:
                    try:
                        turns.append(self._compile(program))
                    except MeasurementError as error:
                        self.store.fail(program.key, self.configuration, session, str(error))
                    advance(f"compiled {program.key}")
                for round_ in range(rounds):
                    for compiled in list(turns):
                        key = compiled.program.key
                        if taken.get(key, 0) > round_:
                            continue
                        try:
                            ms = self._time(compiled)
                        except MeasurementError as error:
                            self.store.fail(key, self.configuration, session, str(error))
                            turns.remove(compiled)
                        else:
                            self.store.add(key, self.configuration, session, round_, ms)
                        advance(f"timed {key}")

    def _compile(self, program: Program) -> _Compiled:
        import torch

        rng = np.random.default_rng(0)
        inputs = tuple(rng.standard_normal(s, dtype=np.float32) for s in program.inputs)
        with torch.random.fork_rng(), torch.inference_mode():
            torch.manual_seed(0)
            module = program.build().eval()
            outputs = module(*map(torch.from_numpy, inputs))
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        expected = tuple(y.numpy() for y in outputs)
        artifact = self.runtime.compile(module, inputs, self.device)
        if kernels := artifact.provenance.get("unscheduled_kernels"):
            _LOG.warning("%s runs scalar code in %s", program.key, kernels)
        return _Compiled(program, artifact, inputs, expected)

    def _time(self, compiled: _Compiled) -> FloatArray:
        """One round; programs are never timed side by side, in this process or another."""
        lock = Path(tempfile.gettempdir()) / f"tailorbird-{self.device.name}.lock"
        with FileLock(lock, mode=0o666):
            samples = self.runtime.measure(compiled.artifact, compiled.inputs, self.device)
        for got, expected in zip(samples.outputs, compiled.expected, strict=True):
            error = np.abs(got - expected).max() / max(np.abs(expected).max(), 1e-30)
            if not error <= TOLERANCE:
                raise MeasurementError(
                    f"outputs differ from torch by {error:.1e} of the largest output, "
                    f"more than {TOLERANCE:.0e}"
                )
        return samples.ms
