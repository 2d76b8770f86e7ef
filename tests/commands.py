"""Commands that time ONNX files, as users would write them."""

from pathlib import Path

ONNXRUNTIME = """
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime

onnx, *folders = map(Path, sys.argv[1:])
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(onnx, options)
inputs = {x.name: np.ones(x.shape, np.float32) for x in session.get_inputs()}
if folders:
    inputs = {name: np.load(folders[0] / f"{i}.npy") for i, name in enumerate(inputs)}
outputs = session.run(None, inputs)
if folders:
    for i, output in enumerate(outputs):
        np.save(folders[1] / f"{i}.npy", output)
for _ in range(20):
    begin = time.perf_counter()
    session.run(None, inputs)
    print(1e3 * (time.perf_counter() - begin))
"""

BY_SIZE = "wc -c < \"$1\" | awk '{ print $1 / 1e5; print $1 / 1e5 }'"
"""Prints latencies that go by the size of the file alone."""


def script(path: Path, text: str) -> Path:
    """Writes a script of the shell, which can be executed; returns its path."""
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path
