"""From a torch module to a shared library."""

from pathlib import Path

import numpy as np
import tvm
import tvm.support.cc
from safetensors.numpy import save_file
from torch import Tensor, nn

from tailorbird.latency_tables.target import Target
from tailorbird.latency_tables.tvm.importer import import_module
from tailorbird.latency_tables.tvm.packing import pack_weights
from tailorbird.latency_tables.tvm.schedule import lower
from tailorbird.latency_tables.tvm.target import llvm_target, vector_unit
from tailorbird.latency_tables.tvm.weights import lift_weights


def build_library(
    module: nn.Module, inputs: tuple[Tensor, ...], target: Target, threads: int, path: Path
) -> list[str]:
    """Compiles a module for a kind of processor and writes the library.

    Its weights go beside it, into a file of the same stem: tensors "0", "1", … which are, in this
    order, the arguments after the inputs.

    Returns:
        Names of kernels that run unscheduled, scalar code.
    """
    if tvm.support.cc.get_cc() is None:
        raise RuntimeError("there is no linker; install gcc or clang, or put it on the PATH")
    llvm, unit = llvm_target(target), vector_unit(target)
    packed = pack_weights(import_module(module, inputs), unit)
    program, unscheduled = lower(packed, llvm, unit)
    program, weights = lift_weights(program)
    tvm.compile(program, llvm).export_library(str(path))
    arrays = {str(i): np.ascontiguousarray(w) for i, w in enumerate(weights)}
    save_file(arrays, path.with_suffix(".safetensors"))
    return unscheduled
