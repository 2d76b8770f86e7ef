"""The tables `fbnet` and `nasbench201`: networks that HELP's authors timed on many devices."""

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd

from tailorbird.errors import require

Files = Mapping[str, Path]

_OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
_EDGES = ("0_1", "0_2", "1_2", "0_3", "1_3", "2_3")  # in the order of a cell's text


def fbnet(files: Files) -> pd.DataFrame:
    """Makes a row per network: the operation of each layer, then milliseconds by device.

    Args:
        files: originals by their path.
    """
    layers = np.array(_tensors(files["data/fbnet/arch.pt"]), dtype=np.int8)
    table = {f"l{layer:02}": column for layer, column in enumerate(layers.T)}
    return pd.DataFrame(table | _latencies(files))


def nasbench201(files: Files) -> pd.DataFrame:
    """Makes a row per cell: the operation on each edge, then milliseconds by device.

    Args:
        files: originals by their path.
    """
    indices: dict[str, int] = _tensors(files["data/nasbench201/str_arch2idx.pt"])
    texts = sorted(indices, key=indices.__getitem__)
    codes = {name: code for code, name in enumerate(_OPERATIONS)}
    cells = [[codes[name] for name in re.findall(r"(\w+)~", text)] for text in texts]
    operations = np.array(cells, dtype=np.int8)
    table: dict[str, object] = {"index": np.arange(len(texts), dtype=np.int16), "arch_str": texts}
    table |= {f"op_{edge}": column for edge, column in zip(_EDGES, operations.T, strict=True)}
    return pd.DataFrame(table | _latencies(files))


def _latencies(files: Files) -> dict[str, np.ndarray]:
    """Reads the milliseconds of each network, a column per device."""
    return {
        f"lat_ms_{path.stem}": np.array(_tensors(files[str(path)]), dtype=np.float32)
        for path in map(PurePosixPath, files)
        if path.parent.name == "latency"
    }


def _tensors(path: Path) -> Any:
    """Reads what torch saved, if it is tensors and plain containers: no code is run."""
    require("torch")
    import torch

    return torch.load(path, map_location="cpu", weights_only=True)
