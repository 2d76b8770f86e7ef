"""Published accuracies that are made up, for searches that train nothing."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

SPACE = "deit-ti-s-b"
"""Its 71 networks are searched in a quarter of a second, by a table that comes with the package."""

FILE = "snnet_stitches.csv.gz"
VARIABLE = "TAILORBIRD_DATA"
"""Names the folder of published tables."""


def rows() -> Iterator[dict[str, object]]:
    """A row for each network, as the authors of stitchable networks published theirs."""
    from tailorbird import spaces
    from tailorbird.spaces.footprint import count_macs

    space = spaces.get(SPACE)
    X = np.concatenate(list(space.enumerate()))
    macs = count_macs(space, X)
    anchors, stitches = (variable.choices for variable in space.variables)
    for number, ((start, stitch), n_macs) in enumerate(zip(X.tolist(), macs.tolist(), strict=True)):
        names, front, back = [str(anchors[start])], -1, -1
        if ":" in str(stitches[stitch]):
            left, right = str(stitches[stitch]).split(">")
            names, front, back = [left, right], int(left.split(":")[1]), int(right.split(":")[1])
        yield {
            "source": "snnet_deit_ti_s_b",
            "task": "imagenet_top1",
            "cfg_id": number,
            "path": "-".join(name[0].upper() for name in names),
            "front": front,
            "back": back,
            "n_blocks": None,
            "flops": float(n_macs),
            "params": None,
            "score": 50.0 + 10 * np.log10(n_macs / 1e9) + number % 7 / 10,
            "stitches": None,
        }


def prepare(folder: Path) -> dict[str, str]:
    """Writes the table to a new folder; the environment of commands that find it there."""
    folder.mkdir()
    pd.DataFrame(rows()).to_csv(folder / FILE, index=False)
    return {VARIABLE: str(folder)}
