"""Laws of a family's anchors: named apart, of whole stages, and from small to large."""

import re
from collections.abc import Sequence

import numpy as np

from tailorbird.errors import ContractError, shown
from tailorbird.spaces.space import IntArray
from tailorbird.spaces.stitching.family import Family, parts_of
from tailorbird.spaces.stitching.stitch import Stitch
from tailorbird.spaces.workload import Workload

_MOST_ANCHORS = 100
_MOST_BLOCKS = 1_000  # of an anchor
_LONGEST = 200  # characters of a family's name
_NAME = re.compile(r"[^\W_][\w.+-]{0,49}")  # part of files' names, and of texts with : and >


def check_anchors(family: Family) -> None:
    """Refuses anchors that cannot be named, counted or told apart. Builds nothing.

    Raises:
        ContractError: naming the first one.
    """
    named = isinstance(family.name, str) and family.name.isprintable()
    if not (named and 0 < len(family.name) <= _LONGEST):
        raise ContractError(
            f"A family's name must be a text of at most {_LONGEST} characters, but got "
            f"{shown(family.name)}."
        )
    if not isinstance(family.n_classes, int | np.integer) or family.n_classes < 1:
        raise ContractError(
            f"A family's n_classes must be a positive integer, but {family.name} has "
            f"{family.n_classes!r}."
        )
    _check_names(family)
    _check_stages(family)
    _check_distinct(family)


def _check_names(family: Family) -> None:
    """Refuses none, too many, and what is no name of an anchor."""
    names = tuple(family.anchors)
    if not names:
        raise ContractError(f"A family must have an anchor at least, but {family.name} has none.")
    if len(names) > _MOST_ANCHORS:
        raise ContractError(
            f"A family may have {_MOST_ANCHORS} anchors at most, but {family.name} has "
            f"{len(names):,}. Leave out those that are much alike."
        )
    for name in names:
        if not (isinstance(name, str) and _NAME.fullmatch(name)):
            raise ContractError(
                "An anchor's name must be a letter or digit and at most 49 more, or `_`, `.`, `+`, "
                f"`-`, but {family.name} has {shown(name)}. It is part of the names of files."
            )


def _check_stages(family: Family) -> None:
    """Refuses stages that are not as many for each anchor, and depths that are none."""
    names, stages = tuple(family.anchors), tuple(family.stages)
    if len(stages) != len(names) or len({len(of) for of in stages}) > 1:
        raise ContractError(
            f"Each anchor must have its stages, and all as many, but {family.name} has anchors "
            f"{', '.join(names)} and stages {stages}."
        )
    for name, depths in zip(names, stages, strict=True):
        if not depths or not all(isinstance(n, int | np.integer) and n > 0 for n in depths):
            raise ContractError(
                f"A stage must have a block at least, but those of {name} in {family.name} have "
                f"{depths}."
            )
        if sum(depths) > _MOST_BLOCKS:
            raise ContractError(
                f"An anchor may have {_MOST_BLOCKS:,} blocks at most, but {name} in {family.name} "
                f"has {sum(depths):,}. Put several into one block."
            )


def _check_distinct(family: Family) -> None:
    """Refuses two anchors of equal workloads, or of names that differ in their case only."""
    names = tuple(family.anchors)
    first_of: dict[tuple[Workload, ...], int] = {}
    for anchor, name in enumerate(names):
        workloads = tuple(family.workload(part) for part in parts_of(family, anchor))
        twin = first_of.setdefault(workloads, anchor)
        if twin != anchor:
            raise ContractError(
                f"Anchors must differ, but in {family.name} numbers {twin + 1} and {anchor + 1}, "
                f"{names[twin]} and {name}, cost the same: their workloads are equal. Leave one of "
                "them out."
            )
    if len({name.casefold() for name in names}) < len(names):
        raise ContractError(
            f"Anchors must have names of their own, whatever their case, but those of "
            f"{family.name} are {', '.join(names)}."
        )


def check_stitches(family: Family, stitches: Sequence[object]) -> None:
    """Refuses stitches that do not lead from a block of one anchor to a block of another.

    Raises:
        ContractError: naming the first one.
    """
    depths = [sum(stages) for stages in family.stages]
    seen: set[Stitch] = set()
    for stitch in stitches:
        fits = (
            isinstance(stitch, Stitch)
            and stitch.source != stitch.target
            and {stitch.source, stitch.target} <= {*range(len(depths))}
            and 0 <= stitch.leave < depths[stitch.source]
            and 0 <= stitch.enter < depths[stitch.target]
            and stitch not in seen
        )
        if not fits:
            raise ContractError(
                "A rule's stitches must each lead from a block of one anchor to one of another, "
                f"but of {family.name}, with {depths} blocks, it gave {stitch!r}. Numbers begin at "
                "0, and none may come twice."
            )
        assert isinstance(stitch, Stitch)  # or it was refused
        seen.add(stitch)


def check_order(family: Family, macs: IntArray) -> None:
    """Refuses a family whose anchors do not grow.

    Args:
        family: of the anchors.
        macs: multiply-adds of each anchor, (n_anchors,).

    Raises:
        ContractError: naming the first two anchors that are the wrong way round.
    """
    names = family.anchors
    for a in np.flatnonzero(np.diff(macs) <= 0):
        law = f"Anchors must grow from small to large, but in {family.name} "
        if macs[a] == macs[a + 1]:
            raise ContractError(
                f"{law}{names[a]} and {names[a + 1]} cost the same, {macs[a]:,} MACs. Leave one of "
                "them out."
            )
        raise ContractError(
            f"{law}{names[a]} takes {macs[a]:,} MACs and {names[a + 1]}, behind it, "
            f"{macs[a + 1]:,}. Put the smaller one first."
        )
