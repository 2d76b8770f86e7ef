"""Preparation of a program for timing: it is counted, compiled, and compared with torch."""

import logging
import time
from dataclasses import dataclass, replace
from functools import partial

from tailorbird.errors import MeasurementError, raising
from tailorbird.latency_tables.devices.device import Device
from tailorbird.latency_tables.profiling.numerics import check
from tailorbird.latency_tables.program import Program
from tailorbird.latency_tables.runtime import Artifact, Runtime, Tensors
from tailorbird.latency_tables.store.store import Store
from tailorbird.latency_tables.tables.table import UNCOMPARED
from tailorbird.spaces.footprint import footprint

_LOG = logging.getLogger("tailorbird")


@dataclass(slots=True)
class Spent:
    """Seconds that one program cost."""

    key: str
    compile_s: float = 0.0
    check_s: float = 0.0
    time_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Compiled:
    """A program that is ready to be timed.

    Attributes:
        program: what was compiled.
        artifact: what it was compiled to.
        inputs: examples, with which it is timed.
        n_copies: copies of its weights that take turns when it is timed.
    """

    program: Program
    artifact: Artifact
    inputs: Tensors
    n_copies: int


def prepare(
    program: Program, runtime: Runtime, device: Device, store: Store, spent: Spent
) -> Compiled:
    """Compiles a program and checks it; keeps its footprint, which is the same on all devices.

    Args:
        program: is built with fresh weights.
        runtime: compiles and runs it.
        device: for which it is compiled.
        store: keeps its footprint.
        spent: takes the seconds that this costs.

    Raises:
        MeasurementError: if any of it does not work; then nothing of it is left.
    """
    begin = time.perf_counter()
    with raising(partial(MeasurementError.of, "torch could not build or export it")):
        module = program.module()
        counted = footprint(module, program.inputs)
    store.keep_footprint(program.key, counted)
    inputs = program.examples(0)
    artifact = runtime.compile(module, inputs, device)
    spent.compile_s = time.perf_counter() - begin
    begin = time.perf_counter()
    try:
        if not check(program, module, runtime, artifact, device):
            artifact = replace(artifact, provenance={**artifact.provenance, **UNCOMPARED})
    except MeasurementError:
        artifact.delete()
        raise
    spent.check_s = time.perf_counter() - begin
    if kernels := artifact.provenance.get("unscheduled_kernels"):
        _LOG.warning("%s runs scalar code in %s", program.key, kernels)
    return Compiled(program, artifact, inputs, program.n_copies(counted.weight_bytes))
