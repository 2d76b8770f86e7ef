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
from tailorbird.latency_tables.runtimes.process.loaded_copies import LoadedCopies
from tailorbird.latency_tables.runtimes.process.service import serve
from tailorbird.latency_tables.runtimes.timing_protocol import Call, Calls

# When imported, OpenVINO reports to its maker from a process that would run beside what is timed.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # None forbids its import

import openvino as ov  # noqa: E402  # only now


class _File:
    """An ONNX file, with a compiled model for each copy of the weights."""

    def __init__(self, path: Path, n_copies: int) -> None:
        core = ov.Core()
        load = partial(core.compile_model, core.read_model(path), "CPU", _options())
        self._compiled = LoadedCopies(path, n_copies, load)
        self._held: list[Any] = []

    def run(self, inputs: Tensors) -> Tensors:
        """Runs it once; returns its outputs."""
        compiled = self._compiled.first
        request = _request(compiled, [ov.Tensor(x) for x in inputs])
        request.infer()
        outputs = range(len(compiled.outputs))
        return tuple(request.get_output_tensor(i).data.copy() for i in outputs)

    def place(self, inputs: Tensors) -> Calls:
        """Gives all copies new buffers; where there is one copy only, compiles it anew as well."""
        copies = self._compiled.placed()
        buffers = [ov.Tensor(x.copy()) for x in inputs]
        return Calls([self._call(compiled, buffers) for compiled in copies])

    def _call(self, compiled: Any, inputs: Sequence[Any]) -> Call:
        request = _request(compiled, inputs)
        self._held.append(request)
        # The public method copies outputs, which costs more than an empty program.
        return partial(ov.InferRequest.__base__.infer, request, {}, True, False)


def _request(compiled: Any, inputs: Sequence[Any]) -> Any:
    request = compiled.create_infer_request()
    for number, tensor in enumerate(inputs):
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
