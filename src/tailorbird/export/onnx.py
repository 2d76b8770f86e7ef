"""Export of torch modules to ONNX."""

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

OPSET = 20  # the first with gelu; the newest that torch's exporter writes without conversion
INPUT, OUTPUT = "input", "logits"
"""Names of what a network takes and gives."""

BATCH = "batch"
"""Name of the axis of images in either."""


def export(
    module: nn.Module,
    inputs: tuple[Tensor, ...],
    path: Path,
    metadata: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, str]:
    """Writes a module in evaluation mode, weights and all, for inputs of the shapes of examples.

    torch's exporter by tracing cannot read the attention of current transformers, so the one by
    `torch.export` is taken.

    Args:
        module: whose own mode stays.
        inputs: examples.
        path: of the file.
        metadata: texts that the file holds as well.

    Returns:
        Metadata that say what wrote the file.
    """
    training = module.training
    try:
        with torch.no_grad(), _quietly():
            program = torch.onnx.export(
                module.eval(), inputs, dynamo=True, verbose=False, opset_version=OPSET
            )
    finally:
        module.train(training)
    return _written(program, path, metadata)


def export_network(program: ExportedProgram, path: Path, metadata: Mapping[str, str]) -> None:
    """Writes a network of one input, `input`, and one output, `logits`.

    Args:
        program: of the network; its shapes are those of the file.
        path: of the file.
        metadata: texts that the file holds as well.
    """
    with _quietly():
        made = torch.onnx.export(
            program,
            dynamo=True,
            verbose=False,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=[OUTPUT],
        )
    assert made is not None
    _name_batch(made)
    _written(made, path, metadata)


def _name_batch(program: torch.onnx.ONNXProgram) -> None:
    """Names the axis of images, which torch numbers, if there may be any number of them."""
    graph = program.model.graph
    for value in (*graph.inputs, *graph.outputs):
        if value.shape is not None and not isinstance(value.shape[0], int):
            value.shape[0] = BATCH


def _written(
    program: torch.onnx.ONNXProgram | None, path: Path, metadata: Mapping[str, str]
) -> dict[str, str]:
    assert program is not None
    program.model.metadata_props.update(metadata)
    program.save(path, external_data=False)
    return {"exporter": f"torch {torch.__version__}, opset {OPSET}"}


@contextmanager
def _quietly() -> Iterator[None]:
    # It speaks of versions of operators that it skips, which no user can act upon.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
