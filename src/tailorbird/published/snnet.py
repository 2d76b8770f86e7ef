"""Accuracies that the authors of stitchable networks published, as measured on ImageNet."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, TypeAdapter, ValidationError

from tailorbird.errors import RecipeError, nearest
from tailorbird.published.typed_table import COUNT, PER_CENT, Law, PublishedTable
from tailorbird.spaces import IntArray, SearchSpace
from tailorbird.spaces.footprint import count_macs
from tailorbird.spaces.stitching import Stitch, StitchSpace, Windows

_FILE = "snnet_stitches.csv.gz"
NAME = "snnet"
"""Name by which recipes ask for these accuracies, and the table is fetched."""
_SOURCES = {
    "deit-ti-s-b": "snnet_deit_ti_s_b",
    "deit3-s-l": "snnetv2_deit3_s_l",
    "resnet-18-50": "snnet_r18_r50",
    "swin-ti-s-b": "snnet_swin_ti_s_b",
}
FAMILIES = frozenset(_SOURCES)
"""Names of spaces whose networks were evaluated."""

_NUMBERED = {
    "resnet-18-50": Windows(2, 1, skipped_stages=(0, 3)),
    "swin-ti-s-b": Windows(2, 1, skipped_stages=(3,)),
}
"""Rules of tables whose rows only have a number.

Found by re-enumerating; MACs agree for every row, though some rows share theirs with others.
"""
_TEXTS = ("source", "task", "path", "stitches")
_MACS = Law("a number of multiply-adds, 1 to 10^18", 1, 1e18, may_be_missing=True)
_BLOCK = Law("the number of a block, or -1", -1, 1000, is_whole=True)
_TASK = "imagenet_top1"
_LAWS = {
    "cfg_id": COUNT,
    "front": _BLOCK,
    "back": _BLOCK,
    "flops": _MACS,
    "score": PER_CENT,
}

_PAIRS = TypeAdapter(list[tuple[int, int]], config=ConfigDict(strict=True))
_Route = tuple[int, list[str]]
"""Anchor where a network starts, and its stitches as the space writes them."""

_RouteOf = Callable[[int], _Route]
"""The route of a row, counted from 0."""

_AGREE = 0.01  # relative; one block more or less is 2 to 8 % of these networks


@dataclass(frozen=True, slots=True, eq=False)
class Published:
    """Networks of a space with their published accuracy.

    Attributes:
        X: canonical rows, (n, d).
        accuracy: fraction of right answers on the validation images of ImageNet-1K, (n,).
        n_images: number of those images.
        n_macs_published: MACs of each network by the authors, (n,).
        n_macs: MACs as counted here, (n,).
    """

    X: IntArray
    accuracy: NDArray[np.float64]
    n_images: int
    n_macs_published: NDArray[np.float64]
    n_macs: NDArray[np.float64]


def snnet(space: SearchSpace, folder: Path) -> Published:
    """Reads the routes of a space whose networks the authors of SN-Net or SN-Netv2 evaluated.

    A row is joined only where our multiply-adds agree with the published ones within 1 %; what is
    left of the difference is the arithmetic of norms, which the authors' counter includes.

    Raises:
        RecipeError: if there is no such table, or none of its networks is in the space.

    References:
        Pan, Cai, Zhuang: Stitchable Neural Networks. CVPR 2023.
        Pan, Liu, He, Cai, Zhuang: Stitched ViTs are Flexible Vision Backbones. ECCV 2024.
    """
    if not isinstance(space, StitchSpace):
        raise RecipeError(
            f"{NAME!r} holds accuracies of stitched networks, but {space.name} has none. Name a "
            "column of its own published table."
        )
    family = space.family.name
    if family not in _SOURCES:
        raise RecipeError(
            f"Nothing is published for {family!r} in {_FILE!r}; {nearest(family, _SOURCES)}"
        )
    path = folder / _FILE
    table = PublishedTable.of_csv(path, NAME, _TEXTS, _LAWS)
    table.checked({}, ("source", "task", "cfg_id"))
    ours = (table.rows["source"] == _SOURCES[family]) & (table.rows["task"] == _TASK)
    route_of = _by_number(space, table) if family in _NUMBERED else _by_path(space, table)
    macs_published = table.numbers("flops")
    slots = {text: i for i, text in enumerate(space.variables[-1].choices)}
    rows, kept = [], []
    for row in np.flatnonzero(ours).tolist():
        if np.isnan(macs_published[row]):
            raise table.refusal(row, "flops", _MACS.says)
        anchor, texts = route_of(row)
        if len(texts) <= space.max_stitches and all(text in slots for text in texts):
            choices = [slots[text] for text in texts]
            rows.append([anchor, *choices, *[0] * (space.max_stitches - len(choices))])
            kept.append(row)
    X = np.array(rows, dtype=np.int64).reshape(len(rows), len(space.variables))
    published = macs_published[kept]
    macs = count_macs(space, X) / space.input_shape[0]
    agree = np.abs(macs - published) <= _AGREE * published
    if not agree.any():
        raise RecipeError(f"None of the networks in {str(path)!r} is in {space.name}.")
    accuracy = table.numbers("score")[kept][agree] / 100
    return Published(X[agree], accuracy, 50_000, published[agree], macs[agree])


def _by_path(space: StitchSpace, table: PublishedTable) -> _RouteOf:
    """Routes of rows that name their anchors by first letter."""
    names = space.family.anchors
    letters = [name[0].upper() for name in names]
    depths = [sum(stages) for stages in space.family.stages]
    cells = table.rows

    def route(row: int) -> _Route:
        path = [*cells["path"].iloc[row].replace("-", "")]
        if not path or not set(path) <= set(letters):
            raise table.refusal(row, "path", f"anchors by first letter, {', '.join(letters)}")
        anchors = [letters.index(letter) for letter in path]
        n_steps = len(path) - 1
        column = "stitches" if cells["stitches"].iloc[row] else "front"
        if column == "stitches":
            crossings = _crossings(cells["stitches"].iloc[row])
        else:
            crossings = [(int(cells["front"].iloc[row]), int(cells["back"].iloc[row]))] * n_steps
        steps = list(zip(pairwise(anchors), crossings, strict=False))
        if len(crossings) != n_steps or not all(
            0 <= leave < depths[a] and 0 <= enter < depths[b] for (a, b), (leave, enter) in steps
        ):
            law = f"a block of each anchor for each of the {n_steps} steps of {'-'.join(path)}"
            raise table.refusal(row, column, law)
        texts = [f"{names[a]}:{leave}>{names[b]}:{enter}" for (a, b), (leave, enter) in steps]
        return anchors[0], texts

    return route


def _crossings(text: str) -> list[tuple[int, int]]:
    """The pairs of blocks in a text such as `[[3, 4], [7, 2]]`; none if it is anything else."""
    try:
        return _PAIRS.validate_json(text)
    except ValidationError:
        return [(-1, -1)]


def _by_number(space: StitchSpace, table: PublishedTable) -> _RouteOf:
    """Routes of rows that only have a number: anchors, then stitches by stage and anchors."""
    family, names = space.family, space.family.anchors

    def place(stitch: Stitch) -> tuple[int, int, int]:
        ends = np.cumsum(family.stages[stitch.target])
        stage = int(np.searchsorted(ends, stitch.enter, side="right"))
        return stage, stitch.source, stitch.enter

    routes: list[_Route] = [(a, []) for a in range(len(names))]
    routes += [
        (s.source, [f"{names[s.source]}:{s.leave}>{names[s.target]}:{s.enter}"])
        for s in sorted(_NUMBERED[family.name].stitches(family), key=place)
    ]

    def route(row: int) -> _Route:
        number = int(table.rows["cfg_id"].iloc[row])
        if number >= len(routes):
            raise table.refusal(row, "cfg_id", f"0 to {len(routes) - 1} for this source")
        return routes[number]

    return route
