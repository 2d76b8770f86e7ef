"""Facts of a processor that LLVM and the schedules need."""

from dataclasses import dataclass
from typing import Any

from tailorbird.errors import DeviceError, nearest
from tailorbird.latency_tables.devices.target import Target
from tailorbird.latency_tables.runtimes.timing_protocol import PROTOCOL

SCHEDULE = "static-2"
"""Part of a measurement's configuration: raise it when a rule changes the code that it makes."""

TIMING = f"{PROTOCOL}-native"
"""The protocol, with calls that are counted by our stopwatch and not in Python."""


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


_ARCHITECTURES = ("x86_64", "aarch64", "riscv64")
"""First parts of triples that the LLVM of TVM's wheel has code generators for."""


def llvm_target(target: Target) -> Any:
    """Returns TVM's target for a kind of processor, whatever the number of threads.

    Raises:
        DeviceError: if this LLVM does not know it.
    """
    import tvm
    import tvm_ffi

    function = tvm_ffi.get_global_func
    # Reassociation lets LLVM vectorise reductions; `ninf` stays out, as masks hold infinities.
    fast_math = ("reassoc", "contract", "nsz", "nnan")
    settings: dict[str, object] = {
        "kind": "llvm",
        "mtriple": target.triple,
        "num-cores": 1,
        **{f"fast-math-{flag}": True for flag in fast_math},
    }
    if target.triple.partition("-")[0] not in _ARCHITECTURES:  # the next call would crash
        raise DeviceError(
            f"Nothing is compiled for {target.triple!r}; known are {', '.join(_ARCHITECTURES)}. "
            "Name another triple, such as 'aarch64-linux-gnu/cortex-a72'."
        )
    if target.triple.startswith("riscv64"):  # what Linux there is made for
        settings |= {"mattr": ["+m", "+a", "+f", "+d", "+c"], "mabi": "lp64d"}
    plain = tvm.target.Target(settings)
    known = [str(name) for name in function("target.llvm_get_cpu_archlist")(plain)]
    if target.cpu not in known:
        raise DeviceError(
            f"LLVM knows no CPU {target.cpu!r} of {target.triple}; {nearest(target.cpu, known)}"
        )
    return tvm.target.Target({**settings, "mcpu": target.cpu})


def vector_unit(target: Target) -> VectorUnit:
    """The vector registers of a processor.

    Raises:
        DeviceError: if this LLVM does not know it.
    """
    import tvm_ffi

    llvm = llvm_target(target)
    features = set(map(str, tvm_ffi.get_global_func("target.llvm_get_cpu_features")(llvm)))
    if target.triple.startswith("x86_64"):
        if features >= {"avx512f", "avx512vl"}:
            return VectorUnit(lanes=16, registers=32)
        return VectorUnit(lanes=8 if features >= {"avx2", "fma"} else 4, registers=16)
    return VectorUnit(lanes=4, registers=32)
