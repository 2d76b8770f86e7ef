"""The table `nasbench-macro`: every network of NAS-Bench-Macro, trained three times on CIFAR-10."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd


def convert(files: Mapping[str, Path]) -> pd.DataFrame:
    """Makes a row per network, in the order of the original.

    Args:
        files: the original by its path.
    """
    (path,) = files.values()
    networks = json.loads(path.read_text())
    operations = np.array([list(map(int, name)) for name in networks], dtype=np.int8)
    runs = np.array([network["test_acc"] for network in networks.values()], dtype=np.float32)
    table: dict[str, object] = {"arch": list(networks)}
    table |= {f"l{layer}": column for layer, column in enumerate(operations.T)}
    table |= {f"acc{run}": column for run, column in enumerate(runs.T)}
    for name, dtype in _PLAIN.items():
        table[name] = np.array([network[name] for network in networks.values()], dtype=dtype)
    return pd.DataFrame(table)


_PLAIN = {"mean_acc": np.float32, "std": np.float32, "params": np.int64, "flops": np.int64}
