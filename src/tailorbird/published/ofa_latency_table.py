"""The table `ofa-i7-8700k`: Once-for-all's blocks as NSGANetV2's authors timed them."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from tailorbird.published.ofa_latencies import COLUMNS

NAME = "ofa-i7-8700k"
"""Name under which the table is fetched, and imported into a recipe's store."""

FILE = "ofa_mbv3_lut_i7_8700k.csv.gz"
"""Name of the table among the data."""

_FACTS = ("expand", "kernel", "stride", "idskip", "se")


def convert(files: Mapping[str, Path]) -> pd.DataFrame:
    """Makes a row per block, in the order of the original.

    Args:
        files: the original by its path: YAML in which each key has a mean and a variance.
    """
    (path,) = files.values()
    rows = []
    lines = path.read_text().splitlines()
    for key, mean, variance in zip(lines[::3], lines[1::3], lines[2::3], strict=True):
        kind, *facts = key.removesuffix(":").split("-")
        told = dict(fact.split(":") for fact in facts)
        rows.append(
            {
                "key": key.removesuffix(":"),
                "mean": float(mean.removeprefix("  mean: ")),
                "var": float(variance.removeprefix("  var: ")),
                "kind": kind,
                "input": told["input"],
                "output": told["output"],
                **{name: float(told[name]) if name in told else None for name in _FACTS},
            }
        )
    return pd.DataFrame(rows)[list(COLUMNS)]
