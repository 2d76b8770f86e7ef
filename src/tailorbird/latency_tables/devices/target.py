"""Compilation targets: triple and CPU in LLVM's names."""

import platform
import re
from dataclasses import dataclass
from typing import Self

from tailorbird.errors import DeviceError

_TRIPLES = {"x86_64": "x86_64-linux-gnu", "aarch64": "aarch64-linux-gnu"}
_AVX512 = {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}
_GPUS = {
    *("cuda", "cudnn", "nvidia", "nvptx", "nvptx64", "sm", "tensorrt"),
    *("adreno", "amdgcn", "amdgpu", "hip", "mali", "rocm"),
    *("gpu", "metal", "mps", "opencl", "spirv", "vulkan", "webgpu"),
}
"""Words in the targets of compilers for GPUs."""

_PARTS = {
    "0xd03": "cortex-a53",
    "0xd05": "cortex-a55",
    "0xd07": "cortex-a57",
    "0xd08": "cortex-a72",
    "0xd09": "cortex-a73",
    "0xd0a": "cortex-a75",
    "0xd0b": "cortex-a76",
    "0xd0c": "neoverse-n1",
    "0xd40": "neoverse-v1",
    "0xd49": "neoverse-n2",
    "0xd4f": "neoverse-v2",
}
"""LLVM's names for what /proc/cpuinfo calls `CPU part` of processors by Arm."""


@dataclass(frozen=True, slots=True)
class Target:
    """Kind of processor that programs are compiled for.

    Attributes:
        triple: architecture and system, such as aarch64-linux-gnu.
        cpu: LLVM's name of the processor.
    """

    triple: str
    cpu: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parses `CPU`, which is of this machine's architecture, or `TRIPLE/CPU`.

        Raises:
            DeviceError: if it is neither.
        """
        if not re.fullmatch(r"([a-z0-9_]+(-[a-z0-9_]+){2,3}/)?[A-Za-z0-9_.-]+", text):
            raise DeviceError(
                "A target must be LLVM's name of a CPU, such as 'x86-64-v3', after a triple "
                f"if it is of another architecture: 'aarch64-linux-gnu/cortex-a72'; got {text!r}."
            )
        triple, _, cpu = text.rpartition("/")
        return cls(triple or host_triple(), cpu)

    @classmethod
    def of(cls, machine: str, flags: frozenset[str], part: str = "") -> Self:
        """Returns the target of a processor from what its kernel tells of it.

        LLVM's own probe goes by family and model: under a hypervisor that masks instructions it
        names a CPU whose code does not run, so the flags decide.

        Args:
            machine: architecture, as `uname -m` names it.
            flags: instruction sets.
            part: number of an Arm design, such as 0xd08.
        """
        triple = triple_of(machine)
        if not triple.startswith("x86_64"):
            return cls(triple, _PARTS.get(part, "generic"))
        if flags >= _AVX512:
            return cls(triple, "icelake-server" if "avx512_vnni" in flags else "skylake-avx512")
        return cls(triple, "x86-64-v3" if flags >= {"avx2", "fma"} else "x86-64")

    def __str__(self) -> str:
        return self.cpu if self.triple == host_triple() else f"{self.triple}/{self.cpu}"


def is_gpu(text: str) -> bool:
    """True for what compilers call targets of GPUs, such as `cuda` or `nvptx64/sm_80`."""
    return not _GPUS.isdisjoint(re.split(r"[^a-z0-9]+", text.lower()))


def triple_of(machine: str) -> str:
    """The triple of an architecture, as `uname -m` names it, under Linux."""
    return _TRIPLES.get(machine, f"{machine}-linux-gnu")


def host_triple() -> str:
    """The triple of this machine."""
    return triple_of(platform.machine())
