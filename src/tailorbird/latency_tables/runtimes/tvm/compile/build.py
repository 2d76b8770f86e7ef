"""Compilation of a torch module to a shared library."""

import tarfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tvm
from safetensors.numpy import save_file
from torch import Tensor, nn
from tvm.support.cc import cross_compiler, get_target_by_dump_machine

from tailorbird.latency_tables.devices.target import Target
from tailorbird.latency_tables.runtimes.tvm.compile import stopwatch
from tailorbird.latency_tables.runtimes.tvm.compile.importer import import_module
from tailorbird.latency_tables.runtimes.tvm.compile.linker import check_machine, compiler, link
from tailorbird.latency_tables.runtimes.tvm.compile.packing import pack_weights
from tailorbird.latency_tables.runtimes.tvm.compile.planned import scheduled
from tailorbird.latency_tables.runtimes.tvm.compile.weights import lift_weights
from tailorbird.latency_tables.runtimes.tvm.schedule.plan import Plan
from tailorbird.latency_tables.runtimes.tvm.schedule.schedule import Kernels, lower
from tailorbird.latency_tables.runtimes.tvm.target import llvm_target, vector_unit


def build_library(
    module: nn.Module, inputs: tuple[Tensor, ...], target: Target, threads: int, path: Path
) -> list[str]:
    """Compiles a module for a kind of processor and writes the library.

    Where the path ends in .tar, it is objects that are written, to be linked elsewhere. Weights go
    beside it, into a file of the same stem: tensors "0", "1", … which are, in this order, the
    arguments after the inputs.

    Returns:
        Names of kernels that run unscheduled, scalar code.
    """
    llvm, unit = llvm_target(target), vector_unit(target)
    packed = pack_weights(import_module(module, inputs), unit)
    program, unscheduled = lower(packed, llvm, unit, threads)
    _write(program, target, path)
    return unscheduled


def build_tuned_library(
    module: nn.Module,
    inputs: tuple[Tensor, ...],
    target: Target,
    threads: int,
    path: Path,
    plans: Mapping[str, Plan],
) -> Kernels:
    """Compiles as `build_library` does, with kernels scheduled by the plans of their tasks.

    Returns:
        Names of its kernels, by how they are scheduled.
    """
    llvm, unit = llvm_target(target), vector_unit(target)
    program, kernels = scheduled(import_module(module, inputs), llvm, unit, threads, plans)
    _write(program, target, path)
    return kernels


def _write(program: tvm.IRModule, target: Target, path: Path) -> None:
    export = _archive if path.suffix == ".tar" else _linked
    if export is _linked:
        compiler(target.triple)  # refuses what cannot be linked, before it is compiled
    program, weights = lift_weights(program)
    export(tvm.compile(program, llvm_target(target)), target.triple, path)
    arrays = {str(i): np.ascontiguousarray(w) for i, w in enumerate(weights)}
    save_file(arrays, path.with_suffix(".safetensors"))


def _linked(executable: Any, triple: str, path: Path) -> None:
    linker = cross_compiler(
        partial(link, triple=triple),
        output_format="so",
        get_target_triple=get_target_by_dump_machine(compiler(triple)),
    )
    executable.export_library(str(path), fcompile=linker)
    stopwatch.build(triple, path.parent)


def _archive(executable: Any, triple: str, path: Path) -> None:
    executable.export_library(str(path))
    with tarfile.open(path) as archive:
        for member in archive.getmembers():
            if member.name.endswith(".o"):
                content = archive.extractfile(member)
                assert content is not None
                check_machine(f"{path.name}/{member.name}", content.read(), triple)
