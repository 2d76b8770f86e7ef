"""The process that builds and times kernels for tuning: `python -m … CORES`.

A request is {do, limit_s, …}, see `service.py`. A bad schedule may crash it or hang: whoever asks
kills it and starts another.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tailorbird.latency_tables.devices.target import Target
from tailorbird.latency_tables.runtimes.process.service import listen, settle
from tailorbird.latency_tables.runtimes.tvm.schedule.plan import Plan
from tailorbird.latency_tables.runtimes.tvm.target import llvm_target, vector_unit
from tailorbird.latency_tables.runtimes.tvm.timer import start_threads
from tailorbird.latency_tables.runtimes.tvm.tuning.database import TaskFolder
from tailorbird.latency_tables.runtimes.tvm.tuning.kernel_bench import KernelBench
from tailorbird.latency_tables.runtimes.tvm.tuning.peak import macs_per_second


@dataclass(slots=True)
class _Worker:
    """State of the process between requests."""

    bench: KernelBench | None = None

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Answers a request."""
        if request["do"] in ("peak", "open"):
            target = Target.parse(request["target"])
            llvm, unit = llvm_target(target), vector_unit(target)
        if request["do"] == "peak":
            return {"macs_per_second": macs_per_second(llvm, unit)}
        if request["do"] == "open":
            folder = TaskFolder(Path(request["folder"]))
            self.bench = KernelBench(folder, llvm, unit, request["threads"])
            return {"tried": self.bench.tried()}
        assert self.bench is not None
        match request["do"]:
            case "build":
                self.bench.build(Plan.of(request["plan"]))
                return {"error_of_outputs": self.bench.compare()}
            case "move":
                self.bench.move()
                return {}
            case "time":
                return {"rounds": self.bench.time(**request["how"])}
            case "keep":
                self.bench.keep(request["seconds"])
                return {}
        raise ValueError(f"there is no request {request['do']!r}")


if __name__ == "__main__":
    settle(start_threads)
    listen(_Worker().answer)
