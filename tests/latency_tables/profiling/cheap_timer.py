"""A worker whose programs are linear layers in numpy: `python -m cheap_timer CORES`.

A layer's kind says what is wrong with its program.
"""

import os
import time
from functools import partial
from pathlib import Path

import numpy as np

from tailorbird.latency_tables.runtime import Tensors
from tailorbird.latency_tables.runtimes.process.service import serve
from tailorbird.latency_tables.runtimes.timing_protocol import Calls


class Layer:
    """A linear layer and what is wrong with it."""

    def __init__(self, path: Path, n_copies: int) -> None:
        with np.load(path) as arrays:
            self._kind = str(arrays["kind"])
            self._copies = [(arrays["weight"].copy(), arrays["bias"]) for _ in range(n_copies)]

    def run(self, inputs: Tensors) -> Tensors:
        weight, bias = self._copies[0]
        output = inputs[0] @ weight.T + bias
        match self._kind:
            case "different":
                output = output * 1.001
            case "undefined":
                output = output * np.nan
            case "dies":
                os._exit(7)
        return (output,)

    def place(self, inputs: Tensors) -> Calls:
        if self._kind == "endless":
            return Calls([partial(time.sleep, 1e6)])
        return Calls([partial(np.matmul, inputs[0], weight.T) for weight, _ in self._copies])


if __name__ == "__main__":
    serve(Layer)
