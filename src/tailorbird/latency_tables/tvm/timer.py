"""The process that runs and times TVM's libraries: `python -m … CORES`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tvm
from safetensors.numpy import load_file
from tvm import relax

from tailorbird.latency_tables.runtime import Tensors
from tailorbird.latency_tables.sampling import Call
from tailorbird.latency_tables.service import serve


class _Library:
    """A library whose `main` takes its inputs and then its weights."""

    def __init__(self, path: Path, n_copies: int) -> None:
        self._module = tvm.runtime.load_module(str(path))
        weights = load_file(path.with_suffix(".safetensors"))
        order = [weights[str(number)] for number in range(len(weights))]
        self._copies = [[tvm.runtime.tensor(w) for w in order] for _ in range(n_copies)]
        self._machines: list[Any] = []

    def run(self, inputs: Tensors) -> Tensors:
        """What it computes."""
        (call, *_) = self.place(inputs)
        outputs: Any = call()
        outputs = outputs if isinstance(outputs, tuple | list | tvm.ir.Array) else [outputs]
        return tuple(output.numpy() for output in outputs)

    def place(self, inputs: Tensors) -> Sequence[Call]:
        """A machine of its own, whose closures cost less to call than `main` with arguments."""
        machine = relax.VirtualMachine(self._module, tvm.cpu())
        self._machines.append(machine)
        tensors = [tvm.runtime.tensor(x) for x in inputs]
        for number, weights in enumerate(self._copies):
            machine.save_function("main", f"copy_{number}", *tensors, *weights)
        return [machine[f"copy_{number}"] for number in range(len(self._copies))]


if __name__ == "__main__":
    serve(_Library)
