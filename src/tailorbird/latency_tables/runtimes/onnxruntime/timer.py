"""The process that runs and times ONNX files: `python -m … CORES`.

A copy of the weights is a session, since onnxruntime packs weights when it loads them. Sessions
share one arena for activations, as the layers of one network do; weights lie outside of it. They
share threads as well: those of one would go on waiting for work while the next one runs.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import onnxruntime as ort

from tailorbird.latency_tables.runtime import Tensors
from tailorbird.latency_tables.runtimes.process.loaded_copies import LoadedCopies
from tailorbird.latency_tables.runtimes.process.service import serve
from tailorbird.latency_tables.runtimes.timing_protocol import Call, Calls

_OUT_OF_ARENA = "session.use_device_allocator_for_initializers"


class _File:
    """An ONNX file, with a session for each copy of the weights."""

    def __init__(self, path: Path, n_copies: int) -> None:
        self._sessions = LoadedCopies(path, n_copies, partial(_session, path))
        self._held: list[Any] = []

    def run(self, inputs: Tensors) -> Tensors:
        """Runs it once; returns its outputs."""
        session = self._sessions.first
        names = [argument.name for argument in session.get_inputs()]
        return tuple(session.run(None, dict(zip(names, inputs, strict=True))))

    def place(self, inputs: Tensors) -> Calls:
        """Gives all copies new buffers; where there is one copy only, a new session as well."""
        sessions = self._sessions.placed()
        buffers = [ort.OrtValue.ortvalue_from_numpy(x.copy()) for x in inputs]
        outputs = [ort.OrtValue.ortvalue_from_numpy(y) for y in self.run(inputs)]
        return Calls([self._call(session, buffers, outputs) for session in sessions])

    def _call(self, session: Any, inputs: Sequence[Any], outputs: Sequence[Any]) -> Call:
        binding = session.io_binding()
        for argument, value in zip(session.get_inputs(), inputs, strict=True):
            binding.bind_ortvalue_input(argument.name, value)
        for argument, value in zip(session.get_outputs(), outputs, strict=True):
            binding.bind_ortvalue_output(argument.name, value)
        self._held.append((binding, inputs, outputs))
        # The public method checks its arguments in Python, which costs more than an empty program.
        return partial(session._sess.run_with_iobinding, binding._iobinding, None)


def _session(path: Path) -> Any:
    options = ort.SessionOptions()
    options.use_per_session_threads = False
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3
    options.add_session_config_entry("session.use_env_allocators", "1")
    options.add_session_config_entry(_OUT_OF_ARENA, "1")
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _share(n_threads: int) -> None:
    """Makes the threads and the arena that all sessions share."""
    ort.set_global_thread_pool_sizes(n_threads, 1)
    memory = ort.OrtMemoryInfo(
        "Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT
    )
    ort.create_and_register_allocator(memory, None)


if __name__ == "__main__":
    serve(_File, _share)
