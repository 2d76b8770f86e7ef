"""Accuracies that the authors of stitchable networks published, as measured on ImageNet."""

import json
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tailorbird.errors import PublishedTableError, RecipeError, nearest
from tailorbird.spaces import IntArray
from tailorbird.spaces.footprint import count_macs
from tailorbird.spaces.stitching import Stitch, StitchSpace, Windows

_FILE = "snnet_stitches.csv.gz"
_NAME = "snnet"  # by which it is fetched
_SOURCES = {
    "deit-ti-s-b": "snnet_deit_ti_s_b",
    "deit3-s-l": "snnetv2_deit3_s_l",
    "resnet-18-50": "snnet_r18_r50",
    "swin-ti-s-b": "snnet_swin_ti_s_b",
}
_NUMBERED = {
    "resnet-18-50": Windows(2, 1, skipped_stages=(0, 3)),
    "swin-ti-s-b": Windows(2, 1, skipped_stages=(3,)),
}
"""Rules of tables whose rows only have a number.

Found by re-enumerating; MACs agree for every row, though some rows share theirs with others.
"""
_COLUMNS = {
    **dict.fromkeys(("source", "task", "path", "stitches"), str),
    **dict.fromkeys(("cfg_id", "front", "back"), np.int64),
    **dict.fromkeys(("flops", "score"), np.float64),
}
"""Types of those that are read."""

_AGREE = 0.01  # relative; one block more or less is 2 to 8 % of these networks


@dataclass(frozen=True, slots=True, eq=False)
class Published:
    """Networks of a space with their published accuracy.

    Attributes:
        X: canonical rows, (n, d).
        accuracy: share of right answers on the validation images of ImageNet-1K, (n,).
        n_images: of those.
        n_macs_published: of each network, (n,).
        n_macs: as counted here, (n,).
    """

    X: IntArray
    accuracy: NDArray[np.float64]
    n_images: int
    n_macs_published: NDArray[np.float64]
    n_macs: NDArray[np.float64]


def snnet(space: StitchSpace, folder: Path) -> Published:
    """The routes of a space that SN-Net or SN-Netv2 evaluated.

    A row is joined only where our multiply-adds agree with the published ones within 1 %; what is
    left of the difference is the arithmetic of norms, which the authors' counter includes.

    Raises:
        RecipeError: if there is no such table, or none of its networks is in the space.

    References:
        Pan, Cai, Zhuang: Stitchable Neural Networks. CVPR 2023.
        Pan, Liu, He, Cai, Zhuang: Stitched ViTs are Flexible Vision Backbones. ECCV 2024.
    """
    family = space.family.name
    if family not in _SOURCES:
        raise RecipeError(
            f"Nothing is published for {family!r} in {_FILE!r}; {nearest(family, _SOURCES)}"
        )
    path = folder / _FILE
    try:
        table = pd.read_csv(path, usecols=[*_COLUMNS], dtype=_COLUMNS)
        table = table[(table["source"] == _SOURCES[family]) & (table["task"] == "imagenet_top1")]
        decode = _by_number if family in _NUMBERED else _by_path
        routes = decode(space, table)
    except (OSError, EOFError, ValueError, TypeError, IndexError, zlib.error) as error:
        raise PublishedTableError.of(path, _NAME, error) from None
    slots = {text: i for i, text in enumerate(space.variables[-1].choices)}
    rows, kept = [], []
    for position, (anchor, texts) in enumerate(routes):
        if len(texts) <= space.max_stitches and all(text in slots for text in texts):
            choices = [slots[text] for text in texts]
            rows.append([anchor, *choices, *[0] * (space.max_stitches - len(choices))])
            kept.append(position)
    X = np.array(rows, dtype=np.int64).reshape(len(rows), len(space.variables))
    published = table["flops"].to_numpy(np.float64)[kept]
    macs = count_macs(space, X) / space.input_shape[0]
    agree = np.abs(macs - published) <= _AGREE * published
    if not agree.any():
        raise RecipeError(f"None of the networks in {str(path)!r} is in {space.name}.")
    accuracy = table["score"].to_numpy(np.float64)[kept][agree] / 100
    return Published(X[agree], accuracy, 50_000, published[agree], macs[agree])


def _by_path(space: StitchSpace, table: pd.DataFrame) -> list[tuple[int, list[str]]]:
    """Start and stitches of rows that name their anchors by first letter."""
    names = space.family.anchors
    letters = [name[0].upper() for name in names]
    found = []
    columns = (table[name] for name in ("path", "front", "back", "stitches"))
    for text, front, back, stitches in zip(*columns, strict=True):
        path = [letters.index(letter) for letter in str(text).replace("-", "")]
        if isinstance(stitches, str):
            crossings = [(leave, enter) for leave, enter in json.loads(stitches)]
        else:
            crossings = [(front, back)] * (len(path) - 1)
        texts = [
            f"{names[a]}:{leave}>{names[b]}:{enter}"
            for a, b, (leave, enter) in zip(path[:-1], path[1:], crossings, strict=True)
        ]
        found.append((path[0], texts))
    return found


def _by_number(space: StitchSpace, table: pd.DataFrame) -> list[tuple[int, list[str]]]:
    """Of rows that only have a number: anchors, then stitches by stage and pair of anchors."""
    family, names = space.family, space.family.anchors

    def place(stitch: Stitch) -> tuple[int, int, int]:
        ends = np.cumsum(family.stages[stitch.target])
        stage = int(np.searchsorted(ends, stitch.enter, side="right"))
        return stage, stitch.source, stitch.enter

    routes: list[tuple[int, list[str]]] = [(a, []) for a in range(len(names))]
    routes += [
        (s.source, [f"{names[s.source]}:{s.leave}>{names[s.target]}:{s.enter}"])
        for s in sorted(_NUMBERED[family.name].stitches(family), key=place)
    ]
    return [routes[number] for number in table["cfg_id"]]
