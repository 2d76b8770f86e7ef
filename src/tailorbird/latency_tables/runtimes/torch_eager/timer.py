"""The process in which torch runs and times exported programs: `python -m … CORES`."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.export.graph_signature import InputKind, OutputKind

from tailorbird.latency_tables.runtime import Tensors
from tailorbird.latency_tables.runtimes.process.service import serve
from tailorbird.latency_tables.runtimes.timing_protocol import Calls
from tailorbird.latency_tables.runtimes.torch_eager.export import pickles


class _Program:
    """A function of its weights and inputs that calls one operator after another."""

    def __init__(self, path: Path, n_copies: int) -> None:
        if pickles(path):
            raise ValueError(f"{path.name} holds pickles")
        program = torch.export.load(path)
        signature = program.graph_signature
        self._forward = program.graph_module.forward
        self._inputs = list(signature.input_specs)
        self._is_output = [spec.kind is OutputKind.USER_OUTPUT for spec in signature.output_specs]
        tensors = {**program.state_dict, **program.constants}
        first = {name: tensor.detach() for name, tensor in tensors.items()}
        others = [{k: tensor.clone() for k, tensor in first.items()} for _ in range(n_copies - 1)]
        self._copies = [first, *others]

    def run(self, inputs: Tensors) -> Tensors:
        """Runs the program once; returns its outputs."""
        outputs = self._call(self._copies[0], [torch.from_numpy(x.copy()) for x in inputs])()
        chosen = zip(outputs, self._is_output, strict=True)
        return tuple(y.numpy() for y, is_output in chosen if is_output)

    def place(self, inputs: Tensors) -> Calls:
        """Gives the copies new inputs; torch takes memory for the rest when it runs."""
        tensors = [torch.from_numpy(x.copy()) for x in inputs]
        return Calls([self._call(weights, tensors) for weights in self._copies])

    def _call(self, weights: Mapping[str, Tensor], inputs: list[Tensor]) -> Any:
        left = iter(inputs)
        return partial(
            self._forward,
            *(
                next(left) if spec.kind is InputKind.USER_INPUT else weights[str(spec.target)]
                for spec in self._inputs
            ),
        )


def _start_threads(n_threads: int) -> None:
    """Starts torch's threads, which it does when first there is work for them."""
    torch.set_num_interop_threads(1)
    torch.set_num_threads(n_threads)
    torch.ones(1 << 20).exp_()


if __name__ == "__main__":
    with torch.inference_mode():
        serve(_Program, _start_threads)
