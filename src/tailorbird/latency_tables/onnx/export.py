"""From a torch module to an ONNX file."""

import logging
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

OPSET = 20  # the first with gelu; the newest that torch's exporter writes without conversion


def export(module: nn.Module, inputs: tuple[Tensor, ...], path: Path) -> dict[str, str]:
    """Writes a module in evaluation mode, weights and all.

    torch's exporter by tracing cannot read the attention of current transformers, so the one by
    `torch.export` is taken.

    Returns:
        What wrote it.
    """
    training = module.training
    # It speaks of versions of operators that it skips, which no user can act upon.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                module.eval(), inputs, dynamo=True, verbose=False, opset_version=OPSET
            )
    finally:
        module.train(training)
    assert program is not None
    program.save(path, external_data=False)
    return {"exporter": f"torch {torch.__version__}, opset {OPSET}"}
