"""Export of trained networks as safetensors and ONNX, which need no search, training or tables."""

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tailorbird.errors import RecipeError, WeightsError
from tailorbird.spaces import IntArray, SearchSpace
from tailorbird.spaces.preprocessing import Preprocessing
from tailorbird.storage import tensors
from tailorbird.storage.atomic import written
from tailorbird.storage.marks import MARK, mark_of, torn

if TYPE_CHECKING:
    from torch import Tensor, nn

_LOG = logging.getLogger("tailorbird")


@dataclass(frozen=True, slots=True)
class Exported:
    """Paths of one exported network in two formats.

    Attributes:
        weights: safetensors, with space, encoding and preprocessing in their metadata.
        onnx: the whole network, for any runtime that reads ONNX.
    """

    weights: Path
    onnx: Path


def save(
    network: "nn.Module",
    space: SearchSpace,
    row: IntArray,
    stem: Path,
    preprocessing: Preprocessing | None = None,
) -> Exported:
    """Writes the network of a canonical row to `stem` with both suffixes: both files, or none.

    The same network gives the same bytes. Both files say how pictures become its inputs, if that is
    known.

    Raises:
        RecipeError: if what writes ONNX is not installed.
        WriteError: if a file cannot be written.
    """
    import torch

    try:
        from tailorbird.export.onnx import export as export_onnx
    except ImportError as error:
        raise RecipeError(
            f"ONNX cannot be written ({error}). Install what it takes with "
            "`pip install 'tailorbird[onnxruntime]'`."
        ) from None
    exported = Exported(*(stem.with_name(stem.name + end) for end in (".safetensors", ".onnx")))
    state = network.state_dict()
    mark = mark_of((space.name, str(row.tolist()), *_content(state)))
    metadata = {
        MARK: mark,
        "space": space.name,
        "encoding": json.dumps(row.tolist()),
        "architecture": space.describe(row),
        "input_shape": json.dumps(space.input_shape),
    }
    facts = {} if preprocessing is None else {"preprocessing": preprocessing.to_json()}
    if reason := torn((exported.weights, exported.onnx)):
        _LOG.warning("The network in %s is torn (%s): it is written again.", stem, reason)
    with written(exported.weights, exported.onnx) as (weights, onnx):
        tensors.fill(weights, state, metadata | facts)
        export_onnx(network, (torch.zeros(space.input_shape),), onnx, {MARK: mark} | facts)
    return exported


def _content(state: "Mapping[str, Tensor]") -> Iterator[str | bytes]:
    for name, tensor in state.items():
        yield name
        yield tensor.contiguous().numpy().tobytes()


def load(path: Path, space: SearchSpace) -> "nn.Module":
    """Reads a network that `save` wrote, in evaluation mode.

    Args:
        path: of its safetensors.
        space: that it is of, as `spaces.get` gives it, or one's own.

    Raises:
        WeightsError: if the file cannot be read, or is of another space.
    """
    from safetensors import SafetensorError, safe_open
    from safetensors.torch import load_file

    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
        state = load_file(path)
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"The network in {str(path)!r} cannot be read: {error}.") from None
    if metadata.get("space") != space.name:
        raise WeightsError(
            f"The network in {str(path)!r} is of {metadata.get('space')}, not of {space.name}. "
            "Load it with that space."
        )
    network = space.build(np.array(json.loads(metadata["encoding"]), dtype=np.int64)).eval()
    network.load_state_dict(state)
    return network
