"""The latency table of Once-for-all's blocks on an i7-8700K that NSGANetV2's authors published."""

from collections.abc import Mapping

from tailorbird.spaces.chains.width import multiple_of_8
from tailorbird.spaces.chains.workloads import (
    Shape,
    classifier,
    feature_mix,
    final_expand,
    first_conv,
    mb_block,
    strided,
)
from tailorbird.spaces.workload import Workload

COLUMNS = (
    *("key", "mean", "var", "kind", "input", "output"),
    *("expand", "kernel", "stride", "idskip", "se"),
)
"""Columns of the table, a row per block: mean in ms, variance in ms^2, and facts of the block."""

SOURCE = {"source": "mikelzc1990/nsganetv2@04c495a data/i7-8700K_lut.yaml", "licence": "Apache-2.0"}

SHA256 = "c58327c942bc860fa3c2f920f711a065413cb23290cbe2332e9a4684400b05c9"
"""SHA-256 of that table's text, so that no other with the same columns is taken for it."""

BATCH = 1
"""Batch size: the table does not say, but the program that it belongs to sums it for one image."""

_RELU, _H_SWISH = (
    {multiple_of_8(factor * width) for width in widths for factor in (1.0, 1.2)}
    for widths in ((16, 24, 40), (80, 112, 160))
)


def workload(row: Mapping[str, str]) -> Workload:
    """Returns the workload of ofa-mobilenetv3 that a row of the table is of.

    The key of a block does not hold its activation, but its width tells it.

    Args:
        row: cells by column.

    Raises:
        ValueError: if it is none of that space, or its facts contradict each other.
    """
    kind, before, after = row["kind"], _shape(row["input"]), _shape(row["output"])
    to = after[1]
    if kind == "MBConv":
        found = _block(row, before, to)
        is_right = after == strided(before, to, _whole(row, "stride"))
    elif kind == "first_conv":
        found = first_conv(before, to, stride=2, h_swish=1)
        is_right = after == strided(before, to, 2)
    elif kind == "final_expand_layer":
        found, is_right = final_expand(before, to), after == strided(before, to, 1)
    elif kind == "feature_mix_layer":
        found, is_right = feature_mix(before, to), before[2:] == after[2:] == (1, 1)
    elif kind == "classifier":
        found, is_right = classifier(BATCH, before[1], to), before[2:] == after[2:] == (1, 1)
    else:
        raise ValueError(f"there is no kind {kind!r}")
    if not is_right:
        raise ValueError(f"a {kind} does not turn {row['input']} into {row['output']}")
    return found


def _block(row: Mapping[str, str], before: Shape, to: int) -> Workload:
    expand, kernel, stride, skips, se = (
        _whole(row, name) for name in ("expand", "kernel", "stride", "idskip", "se")
    )
    if to not in _RELU | _H_SWISH:
        raise ValueError(f"no block of ofa-mobilenetv3 has {to} channels behind it")
    if skips != (stride == 1 and before[1] == to):
        raise ValueError(f"idskip is {skips}, which is not how such a block is made")
    return mb_block(
        before,
        to,
        expand=expand,
        kernel=kernel,
        stride=stride,
        se=se,
        h_swish=int(to in _H_SWISH),
    )


def _whole(row: Mapping[str, str], name: str) -> int:
    try:
        value = float(row[name])
        if value.is_integer():
            return int(value)
    except ValueError:
        pass
    raise ValueError(f"{name} must be a whole number, but is {row[name]!r}")


def _shape(text: str) -> Shape:
    """Parses `112x112x16`, or `1280` for a vector; returns batch and channels first."""
    sizes = text.split("x")
    if len(sizes) not in (1, 3) or not all(size.isdecimal() for size in sizes):
        raise ValueError(f"{text!r} is no shape such as 112x112x16")
    height, width, channels = map(int, sizes if len(sizes) == 3 else ("1", "1", *sizes))
    return (BATCH, channels, height, width)
