"""The table `ofa-accuracies`: subnetworks of Once-for-all that DyNAS-T evaluated on ImageNet."""

import ast
import csv
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tailorbird import spaces
from tailorbird.published.ofa_latency_table import FILE as LATENCIES

_RUNS = (
    "evonsga2_acc_macs",
    "linasnsga2_acc_macs",
    "evounsga3_acc_macs_params",
    "evoga_acc",
    "linasga_acc",
)
"""Searches, by the names of their files; those with several objectives come first."""

_PREFIX = "mbnv3w10_"
_SETTINGS = ("ks", "e", "d")
_PRICED = "lat_ms_i7_8700k_lut"


def convert(files: Mapping[str, Path], folder: Path) -> pd.DataFrame:
    """One row per evaluation, in the order of each search.

    The sum of block latencies on the i7-8700K is a column, too, if that table is among the data.

    Args:
        files: originals by their path.
        folder: of the data.
    """
    by_run = {PurePosixPath(path).stem.removeprefix(_PREFIX): file for path, file in files.items()}
    table = pd.DataFrame([row for run in _RUNS for row in _evaluated(by_run[run], run)])
    table["top1"] = table["top1"].astype(np.float32)
    if (folder / LATENCIES).exists():
        table[_PRICED] = _sums(table, folder / LATENCIES).astype(np.float32)
    return table


def _evaluated(file: Path, run: str) -> Iterator[dict[str, object]]:
    with file.open(newline="") as lines:
        for step, row in enumerate(csv.DictReader(lines)):
            network = ast.literal_eval(row["Sub-network"])
            settings = {
                f"{name}{slot:02}" if name != "d" else f"d{slot}": value
                for name in _SETTINGS
                for slot, value in enumerate(network[name])
            }
            yield {
                "run": run,
                "step": step,
                **settings,
                "params": int(row["Model Parameters"]),
                "macs": int(row["MACs"]),
                "top1": float(row["Top-1 Acc (%)"]),
            }


def _sums(table: pd.DataFrame, latencies: Path) -> NDArray[np.float64]:
    """Milliseconds of each subnetwork as the sum of its blocks, (n,)."""
    from tailorbird.latency_tables import foreign

    space = spaces.get("ofa-mobilenetv3", resolution=224)
    ms = {one.key: one.ms for one in foreign.read(latencies).stated}
    columns = []
    for variable in space.variables:
        index = {int(text): i for i, text in enumerate(variable.choices)}
        columns.append(table[variable.name].map(index).to_numpy(np.int64))
    counts = space.count_workloads(space.repair(np.column_stack(columns)))
    sums: NDArray[np.float64] = counts @ np.array([ms[w.key] for w in space.workloads])
    return sums
