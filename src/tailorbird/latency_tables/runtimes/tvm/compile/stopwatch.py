"""Stopwatch: the library in C that calls and times programs where they run."""

from importlib.resources import as_file, files
from pathlib import Path

import tvm_ffi.libinfo

from tailorbird.latency_tables.runtimes.tvm.compile.linker import link
from tailorbird.storage.atomic import written

NAME = "stopwatch.so"


def build(triple: str, folder: Path) -> Path:
    """Compiles the stopwatch for a triple, unless the folder has it.

    Raises:
        RuntimeError: if there is no compiler for the triple.
        WriteError: if it cannot be written.
    """
    path = folder / NAME
    if not path.exists():
        includes = (
            tvm_ffi.libinfo.find_include_path(),
            tvm_ffi.libinfo.find_dlpack_include_path(),
        )
        options = ["-x", "c", "-O2", *(f"-I{include}" for include in includes)]
        source = as_file(files("tailorbird.latency_tables.runtimes.tvm.compile") / "stopwatch.c")
        with source as text, written(path) as (part,):
            link(str(part), [str(text)], triple, options)
    return path
