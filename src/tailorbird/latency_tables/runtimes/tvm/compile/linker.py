"""Compilers that link programs for this machine, and for others."""

import shutil
import struct
from collections.abc import Sequence
from pathlib import Path

import tvm.support.cc

from tailorbird.latency_tables.devices.target import host_triple

_MACHINES = {"x86_64": 62, "aarch64": 183, "riscv64": 243}
"""What ELF files call architectures."""

_MACHINE_AT = 18  # bytes from the start of an ELF file


def compiler(triple: str) -> str:
    """The command that compiles C, and links, for a triple.

    Raises:
        RuntimeError: if it is not installed.
    """
    if triple == host_triple():
        own = tvm.support.cc.get_cc()
        if own is None:
            raise RuntimeError("there is no linker; install gcc or clang, or put it on the PATH")
        return str(own)
    command = f"{triple}-gcc"
    if shutil.which(command) is None:
        package = f"gcc-{triple.replace('_', '-')}"
        raise RuntimeError(f"there is no cross compiler {command}; install Debian's {package}")
    return command


def link(output: str, objects: Sequence[str], triple: str, options: Sequence[str] = ()) -> None:
    """Writes a shared library for a triple.

    Raises:
        RuntimeError: if there is no compiler, it fails, or makes a library of another machine.
    """
    tvm.support.cc.create_shared(output, list(objects), list(options), cc=compiler(triple))
    check_machine(Path(output).name, Path(output).read_bytes(), triple)


def check_machine(name: str, content: bytes, triple: str) -> None:
    """Refuses a library, or an object, of another architecture.

    Args:
        name: for the message.
        content: of the file; its first bytes are enough.
        triple: that it should be of.

    Raises:
        RuntimeError: naming it.
    """
    is_elf = content[:4] == b"\x7fELF"
    machine = struct.unpack_from("<H", content, _MACHINE_AT)[0] if is_elf else None
    if machine != _MACHINES[triple.partition("-")[0]]:
        raise RuntimeError(f"{name} is no ELF file of {triple} (machine {machine})")
