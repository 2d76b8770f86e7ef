"""The process in which OpenVINO runs and times ONNX files: `python -m … CORES`.

A copy of the weights is a compiled model, since OpenVINO packs weights when it compiles; each has
activations of its own as well.
"""

import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tailorbird.latency_tables.runtime import Tensors
from tailorbird.latency_tables.runtimes.process.service import serve
from tailorbird.latency_tables.runtimes.timing_protocol import PLACEMENTS, Call, Calls

# When imported, OpenVINO reports to its maker from a process that would run beside what is timed.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # None forbids its import

import openvino as ov  # noqa: E402  # only now

_MOST_BYTES = 2 << 30
"""Of all copies; a file's weights are held twice while they are packed."""


class _File:
    """An ONNX file."""

    def __init__(self, path: Path, n_copies: int) -> None:
        self._core = ov.Core()
        self._model = self._core.read_model(path)
        most = max(1, _MOST_BYTES // (2 * path.stat().st_size))
        self._compiled = [self._compile() for _ in range(min(n_copies, most))]
        self._n_placed = 0
        self._held: list[Any] = []

    def run(self, inputs: Tensors) -> Tensors:
        """What it computes."""
        request = self._request(self._compiled[0], [ov.Tensor(x) for x in inputs])
        request.infer()
        outputs = range(len(self._compiled[0].outputs))
        return tuple(request.get_output_tensor(i).data.copy() for i in outputs)

    def place(self, inputs: Tensors) -> Calls:
        """Buffers of their own for all copies; where there is one copy only, a model as well."""
        if len(self._compiled) == 1 and 0 < self._n_placed < PLACEMENTS:
            self._held.append(self._compiled)
            self._compiled = [self._compile()]
        self._n_placed += 1
        given = [ov.Tensor(x.copy()) for x in inputs]
        return Calls([self._call(compiled, given) for compiled in self._compiled])

    def _compile(self) -> Any:
        return self._core.compile_model(self._model, "CPU", _options())

    def _call(self, compiled: Any, given: Sequence[Any]) -> Call:
        request = self._request(compiled, given)
        self._held.append(request)
        # The public method copies outputs, which costs more than an empty program.
        return partial(ov.InferRequest.__base__.infer, request, {}, True, False)

    def _request(self, compiled: Any, given: Sequence[Any]) -> Any:
        request = compiled.create_infer_request()
        for number, tensor in enumerate(given):
            request.set_input_tensor(number, tensor)
        return request


def _options() -> dict[str, Any]:
    return {
        "INFERENCE_NUM_THREADS": int(os.environ["OMP_NUM_THREADS"]),
        "NUM_STREAMS": "1",
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",  # it would take bfloat16 where the CPU has it
        "ENABLE_CPU_PINNING": True,  # to the cores that this process has, during a call
    }


if __name__ == "__main__":
    serve(_File)
