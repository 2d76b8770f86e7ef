"""The table `ofa-accuracies`: subnetworks of Once-for-all that DyNAS-T evaluated on ImageNet."""

import ast
import csv
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

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


def convert(files: Mapping[str, Path]) -> pd.DataFrame:
    """Makes a row per evaluation, in the order of each search.

    Args:
        files: originals by their path.
    """
    by_run = {PurePosixPath(path).stem.removeprefix(_PREFIX): file for path, file in files.items()}
    table = pd.DataFrame([row for run in _RUNS for row in _evaluated(by_run[run], run)])
    table["top1"] = table["top1"].astype(np.float32)
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
