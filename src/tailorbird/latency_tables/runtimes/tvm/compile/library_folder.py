"""Compiled programs in a folder, for devices that programs are carried to by other means."""

import json
import shutil
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from tailorbird.errors import DeviceError, MeasurementError, RecipeError, raising
from tailorbird.latency_tables.devices.target import Target
from tailorbird.latency_tables.program import Program
from tailorbird.progress import Progress
from tailorbird.storage.atomic import refusal

MANIFEST = "manifest.json"
_ALIKE = 3  # failures for one reason, after which no more are tried


def write(
    programs: Sequence[Program],
    target: Target,
    threads: int,
    folder: Path,
    suffix: str,
    progress: Progress,
) -> Path:
    """Compiles programs, with fresh weights, into a folder that is new or empty.

    Args:
        programs: to compile.
        target: processor that they are for.
        threads: that share the work of each.
        folder: is written whole, or not at all.
        suffix: .so for shared libraries, .tar for objects to be linked elsewhere.
        progress: where it reports to.

    Returns:
        Path of the manifest, which lists files by the key of each program.

    Raises:
        RecipeError: if the folder holds anything.
        DeviceError: if LLVM does not know the target.
        WriteError: if the folder cannot be written.
        MeasurementError: if any program cannot be compiled; all are tried, and those are named.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RecipeError(f"The folder must be new or empty, but {str(folder)!r} is not.")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as error:
        raise refusal(folder, error) from None
    try:
        files = _compiled(programs, target, threads, made, suffix, progress)
        facts = {"target": f"{target.triple}/{target.cpu}", "threads": threads, "programs": files}
        (made / MANIFEST).write_text(json.dumps(facts, indent=1) + "\n")
        made.chmod(0o755)
        made.replace(folder)
    except OSError as error:
        raise refusal(folder, error) from None
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return folder / MANIFEST


def _compiled(
    programs: Sequence[Program],
    target: Target,
    threads: int,
    folder: Path,
    suffix: str,
    progress: Progress,
) -> dict[str, str]:
    """Compiles programs; returns the names of their files, by key.

    Raises:
        MeasurementError: naming all that cannot be compiled.
    """
    import torch

    from tailorbird.latency_tables.runtimes.tvm.compile.build import build_library

    files, failures = dict[str, str](), dict[str, list[str]]()
    with progress.task("Compiling", len(programs)) as advance:
        for number, program in enumerate(programs):
            inputs = tuple(map(torch.from_numpy, program.examples(0)))
            path = folder / f"{number:04d}{suffix}"
            try:
                with raising(partial(MeasurementError.of, "the compiler refuses it"), DeviceError):
                    build_library(program.module(), inputs, target, threads, path)
            except MeasurementError as error:
                failures.setdefault(str(error), []).append(program.key)
                if len(failures[str(error)]) == _ALIKE:  # a compiler that is not there
                    break
            files[program.key] = path.name
            advance(program.key)
    if failures:
        told = "; ".join(f"{', '.join(keys)}: {reason}" for reason, keys in failures.items())
        raise MeasurementError(f"All programs must compile, and none is written, for {told}.")
    return files
