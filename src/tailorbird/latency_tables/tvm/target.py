"""What LLVM and the schedules must know about a CPU."""

from dataclasses import dataclass

SCHEDULE = "static-2"
"""Part of a measurement's configuration: raise it when a rule changes the code that it makes."""


@dataclass(frozen=True, slots=True)
class VectorUnit:
    """The float32 vector registers of a target.

    Attributes:
        lanes: float32 values in one register.
        registers: how many registers there are.
    """

    lanes: int
    registers: int

    def lanes_of(self, length: int) -> int:
        """The widest vector, down to a quarter of a register, that divides a length; or 1."""
        widths = (self.lanes, self.lanes // 2, self.lanes // 4)
        return next((width for width in widths if width and length % width == 0), 1)


_AVX512 = {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}


def llvm_cpu(flags: frozenset[str]) -> str:
    """LLVM's name for a CPU with these flags.

    LLVM's own probe goes by family and model: under a hypervisor that masks instructions it names
    a CPU whose code does not run, so the flags that the kernel shows decide.
    """
    if flags >= _AVX512:
        return "icelake-server" if "avx512_vnni" in flags else "skylake-avx512"
    if flags >= {"avx2", "fma"}:
        return "x86-64-v3"
    return "x86-64" if "sse2" in flags else "generic"


def vector_unit(mcpu: str) -> VectorUnit:
    """The vector registers of an LLVM CPU named by `llvm_cpu`."""
    match mcpu:
        case "icelake-server" | "skylake-avx512":
            return VectorUnit(lanes=16, registers=32)
        case "x86-64-v3":
            return VectorUnit(lanes=8, registers=16)
        case "x86-64":
            return VectorUnit(lanes=4, registers=16)
    return VectorUnit(lanes=4, registers=32)
