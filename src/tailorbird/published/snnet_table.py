"""The table `snnet`: stitched networks that the authors of SN-Net and SN-Netv2 evaluated."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from tailorbird.spaces.stitching import Stitch, TwoWay, Windows
from tailorbird.spaces.stitching.families.deit import DeiT
from tailorbird.spaces.stitching.families.deit3 import DeiT3
from tailorbird.spaces.stitching.family import Family

Files = Mapping[str, Path]
Cells = dict[str, object]


@dataclass(frozen=True, slots=True)
class _Route:
    """Route: an anchor to start in, and the stitches from there on."""

    family: Family
    start: int
    stitches: tuple[Stitch, ...] = ()

    @property
    def letters(self) -> list[str]:
        """First letters of the anchors that the route passes, in order."""
        passed = [self.start, *(stitch.target for stitch in self.stitches)]
        return [self.family.anchors[anchor][0].upper() for anchor in passed]

    @property
    def n_blocks(self) -> str:
        """Number of blocks that run in each anchor, such as `4/0/8`."""
        counts = [0] * len(self.family.anchors)
        anchor, entry = self.start, 0
        for stitch in self.stitches:
            counts[anchor] += stitch.leave + 1 - entry
            anchor, entry = stitch.target, stitch.enter
        counts[anchor] += sum(self.family.stages[anchor]) - entry
        return "/".join(map(str, counts))


def convert(files: Files) -> pd.DataFrame:
    """Makes a row per network that was evaluated.

    Args:
        files: originals by their path.
    """
    by_windows, two_way = _by_windows(), _two_way()
    rows = [
        *_listed(files, "stitching_deit/results/stitches_res.txt", "snnet_deit_ti_s_b"),
        *_listed(files, "classification/results/stitches_res_s_l.txt", "snnetv2_deit3_s_l"),
        *_segmented(files, "segmentation/results/eval_single_scale_20230507_235400.json"),
        *_listed(files, "stitching_swin/results/stitches_res.txt", "snnet_swin_ti_s_b"),
        *_listed(files, "stitching_levit/results/stitches_res.txt", "snnet_levit"),
        *_listed(files, f"{_RESNETS}_50.txt", "snnet_r18_r50"),
        *_listed(files, f"{_RESNETS}_swin_ti.txt", "snnet_r18_swin_ti"),
    ]
    return pd.DataFrame([row | _decoded(row, by_windows, two_way) for row in rows])[_COLUMNS]


_RESNETS = "stitching_resnet_swin/results/stitches_res_resnet_18"
_COLUMNS = [
    *("source", "task", "cfg_id", "path", "front", "back"),
    *("n_blocks", "flops", "params", "score", "stitches"),
]


def _listed(files: Files, path: str, source: str) -> Iterator[Cells]:
    for line in files[path].read_text().splitlines():
        row = json.loads(line)
        yield {
            "source": source,
            "task": "imagenet_top1",
            "cfg_id": row["cfg_id"],
            "flops": row["flops"],
            "params": row.get("params"),
            "score": row["acc1"],
        }


def _segmented(files: Files, path: str) -> Iterator[Cells]:
    for number, row in json.loads(files[path].read_text()).items():
        yield {
            "source": "snnetv2_deit3_s_l_setr",
            "task": "ade20k_miou",
            "cfg_id": int(number),
            "flops": None,
            "params": None,
            "score": row["metric"]["mIoU"] * 100,
        }


def _decoded(row: Cells, by_windows: list[_Route], two_way: list[_Route | None]) -> Cells:
    """Finds the route of a numbered row, where the repository's order of routes is known."""
    source, number = str(row["source"]), int(str(row["cfg_id"]))
    cells: Cells = {"path": None, "front": -1, "back": -1, "n_blocks": None, "stitches": None}
    if source == "snnet_deit_ti_s_b":
        route = by_windows[number]
        cells |= {"path": "-".join(route.letters), "n_blocks": route.n_blocks}
        for stitch in route.stitches:
            cells |= {"front": stitch.leave, "back": stitch.enter}
    elif source.startswith("snnetv2") and (both := two_way[number]) is not None:
        crossings = [[stitch.leave, stitch.enter] for stitch in both.stitches]
        cells |= {"path": "".join(both.letters), "n_blocks": both.n_blocks}
        cells |= {"stitches": json.dumps(crossings)}
    return cells


def _by_windows() -> list[_Route]:
    """Routes of SN-Net by number: the anchors, then every stitch by pair of anchors."""
    family = DeiT(1)
    stitches = Windows(kernel=2, stride=1).stitches(family)
    return [
        *(_Route(family, anchor) for anchor in range(len(family.anchors))),
        *(_Route(family, stitch.source, (stitch,)) for stitch in stitches),
    ]


def _two_way() -> list[_Route | None]:
    """Routes of SN-Netv2 by number; one that runs no block of the large anchor was left out."""
    family = DeiT3(1)
    stitches = TwoWay().stitches(family)
    up = [stitch for stitch in stitches if stitch.source == 0]
    down = [stitch for stitch in stitches if stitch.source == 1]
    crossed = [
        *((first, then) for first in down for then in up if then.leave >= first.enter),
        *((first, then) for first in up for then in down if then.leave >= first.enter),
    ]
    return [
        *(_Route(family, anchor) for anchor in range(2)),
        *(_Route(family, 0, (stitch,)) for stitch in up),
        None,
        *(_Route(family, 1, (stitch,)) for stitch in down),
        *(_Route(family, pair[0].source, pair) for pair in crossed),
    ]
