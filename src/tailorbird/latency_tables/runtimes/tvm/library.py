"""A compiled program, loaded where it is to run: in this process, or behind an RPC session."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import tvm
from safetensors.numpy import load_file
from tvm import relax

from tailorbird.latency_tables.runtime import Tensors
from tailorbird.latency_tables.runtimes.timing_protocol import LARGEST_GAP
from tailorbird.latency_tables.runtimes.tvm.compile.stopwatch import NAME


class Host(Protocol):
    """Where programs run.

    Attributes:
        cpu: TVM's device.
    """

    cpu: Any

    def load(self, path: Path) -> Any:
        """Loads a library; returns TVM's module of it."""


@dataclass(frozen=True, slots=True)
class _Placement:
    """Calls of a virtual machine, counted and timed where it runs."""

    n_copies: int
    number: int
    turn: Any

    def elapsed_ns(self, first: int, n_calls: int, n_turns: int) -> int:
        """Nanoseconds of calls in a row."""
        return int(self.turn(self.number, first, n_calls, n_turns))


class Library:
    """A library whose `main` takes its inputs and then its weights.

    Args:
        host: where it runs.
        path: of the library; its weights, and the stopwatch, lie beside it.
        n_copies: of the weights.
    """

    def __init__(self, host: Host, path: Path, n_copies: int) -> None:
        self._host = host
        self._watch = host.load(path.parent / NAME)
        self._watch["forget"]()  # the last program's, before there is another
        self._module = host.load(path)
        weights = load_file(path.with_suffix(".safetensors"))
        self._weights = self._tensors([weights[str(i)] for i in range(len(weights))])
        self._n_copies = n_copies
        self._held: list[Any] = []
        self._rng = np.random.default_rng()

    def run(self, inputs: Tensors) -> Tensors:
        """Runs the program once; returns its outputs."""
        machine = relax.VirtualMachine(self._module, self._host.cpu)
        machine.set_input("main", *self._tensors(inputs), *self._weights)
        machine.invoke_stateful("main")
        outputs = machine.get_outputs("main")
        outputs = outputs if isinstance(outputs, tuple | list | tvm.ir.Array) else [outputs]
        return tuple(output.numpy() for output in outputs)

    def place(self, inputs: Tensors) -> _Placement:
        """Makes a virtual machine whose closures cost less to call than `main` with arguments."""
        gap_bytes = int(self._rng.integers(1, LARGEST_GAP))
        gap = tvm.runtime.empty((gap_bytes,), "uint8", self._host.cpu)
        if not self._held:
            self._watch["hold"](self._n_copies, *self._weights)
        machine = relax.VirtualMachine(self._module, self._host.cpu)
        self._held += [gap, machine]
        number = self._watch["place"](machine.module, *self._tensors(inputs))
        return _Placement(self._n_copies, number, self._watch["turn"])

    def _tensors(self, arrays: Sequence[np.ndarray]) -> list[Any]:
        return [tvm.runtime.tensor(x, self._host.cpu) for x in arrays]
