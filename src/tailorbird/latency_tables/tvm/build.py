"""From a torch module to a shared library."""

from pathlib import Path

import tvm
from safetensors.numpy import save_file
from torch import Tensor, nn

from tailorbird.latency_tables.tvm.importer import import_module
from tailorbird.latency_tables.tvm.schedule import lower
from tailorbird.latency_tables.tvm.target import vector_unit


def build_library(
    module: nn.Module, inputs: tuple[Tensor, ...], mcpu: str, path: Path
) -> list[str]:
    """Compiles a module for one CPU and writes the library.

    Returns:
        Names of kernels that run unscheduled, scalar code.
    """
    # Reassociation lets LLVM vectorise reductions; `ninf` stays out, as masks hold infinities.
    fast_math = ("reassoc", "contract", "nsz", "nnan")
    target = tvm.target.Target(
        {
            "kind": "llvm",
            "mcpu": mcpu,
            "num-cores": 1,
            **{f"fast-math-{flag}": True for flag in fast_math},
        }
    )
    program, unscheduled = lower(import_module(module, inputs), target, vector_unit(mcpu))
    tvm.compile(program, target).export_library(str(path))
    save_file({}, path.with_suffix(".safetensors"))
    return unscheduled
