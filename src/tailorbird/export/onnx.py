"""Export of torch modules to ONNX."""

import logging
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import torch
from torch import Tensor, nn

OPSET = 20  # the first with gelu; the newest that torch's exporter writes without conversion


def export(
    module: nn.Module,
    inputs: tuple[Tensor, ...],
    path: Path,
    metadata: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, str]:
    """Writes a module in evaluation mode, weights and all.

    torch's exporter by tracing cannot read the attention of current transformers, so the one by
    `torch.export` is taken.

    Args:
        module: whose own mode stays.
        inputs: examples, whose shapes the file is for.
        path: of the file.
        metadata: texts that the file holds as well.

    Returns:
        Metadata that say what wrote the file.
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
    program.model.metadata_props.update(metadata)
    program.save(path, external_data=False)
    return {"exporter": f"torch {torch.__version__}, opset {OPSET}"}
