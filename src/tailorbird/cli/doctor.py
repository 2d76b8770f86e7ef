"""Command that looks at this installation and this machine."""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tailorbird import __version__
from tailorbird.cli.terminal import echo, echo_json
from tailorbird.errors import EXTRAS, in_a_line

if TYPE_CHECKING:
    from tailorbird.latency_tables.devices.condition import Finding

_PATIENCE_S = 120.0
_TRIED = {
    "torch": "import torch; print('a GPU' if torch.cuda.is_available() else 'no GPU')",
    "tvm": "import tvm; print(tvm.runtime.enabled('llvm') and 'compiles' or 'cannot compile')",
}
"""What is run in a process of its own to see that a package works."""


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")] = False,
) -> None:
    """Looks at what is installed, and at what disturbs measurements here; says what to do.

    Example: `tailorbird doctor`.
    """
    from dataclasses import asdict  # loads much

    from tailorbird.latency_tables.devices.condition import condition

    found = [*_installation(), *condition()]
    if as_json:
        echo_json([asdict(finding) for finding in found])
        return
    for finding in found:
        mark = "!" if finding.way_out else " "
        echo(f"{mark} {finding.subject:<14} {finding.state}")
        if finding.way_out:
            echo(f"  {'':<14} -> {finding.way_out}")
    n = sum(bool(finding.way_out) for finding in found)
    things = "1 thing" if n == 1 else f"{n} things"
    echo(f"{things} to look at, marked with !." if n else "All is well.")


def _installation() -> "Iterator[Finding]":
    from tailorbird.latency_tables.devices.condition import Finding

    yield Finding("tailorbird", f"{__version__}, on Python {platform.python_version()}")
    for name in dict.fromkeys(extra.package or key for key, extra in EXTRAS.items()):
        yield _package(name)
    linker = next(filter(None, map(shutil.which, ("gcc", "cc", "clang"))), None)
    way_out = "install gcc: TVM links what it compiles" if linker is None else ""
    yield Finding("linker", linker or "none", way_out)
    data = os.environ.get("TAILORBIRD_DATA")
    if data is not None:
        is_there = Path(data).is_dir()
        way_out = "" if is_there else "make it, or unset TAILORBIRD_DATA: it names no folder"
        yield Finding("data", data, way_out)


def _package(name: str) -> "Finding":
    from tailorbird.latency_tables.devices.condition import Finding

    key = next(key for key, extra in EXTRAS.items() if (extra.package or key) == name)
    try:
        installed = version(name)
    except PackageNotFoundError:
        what = EXTRAS[key].purpose
        return Finding(
            name,
            f"not installed: for {what[0].lower()}{what[1:]}, "
            f"`pip install 'tailorbird[{EXTRAS[key].extra}]'`",
        )
    if key not in _TRIED:
        return Finding(name, installed)
    try:
        done = subprocess.run(
            [sys.executable, "-c", _TRIED[key]],
            capture_output=True,
            check=False,
            text=True,
            timeout=_PATIENCE_S,
        )
    except subprocess.TimeoutExpired as error:
        return Finding(name, f"{installed}, but does not start", in_a_line(error))
    if done.returncode:
        (*_, last) = done.stderr.strip().splitlines() or ["without a word"]
        return Finding(name, f"{installed}, but fails", f"install it again ({last})")
    return Finding(name, f"{installed}, {done.stdout.strip()}")
