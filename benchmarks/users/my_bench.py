"""Times an ONNX file: what a phone's or an NPU's own tool would do."""

import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime

onnx, inputs, outputs = sys.argv[1:]
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(onnx, options)
feed = {x.name: np.load(Path(inputs) / f"{i}.npy") for i, x in enumerate(session.get_inputs())}
for i, output in enumerate(session.run(None, feed)):
    np.save(Path(outputs) / f"{i}.npy", output)
for _ in range(50):
    begin = time.perf_counter()
    session.run(None, feed)
    print(1e3 * (time.perf_counter() - begin))
