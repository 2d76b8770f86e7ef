"""Widths of blocks that grow linearly, rounded to stages of one width each."""

import math
from itertools import groupby


def quantised_widths(
    depth: int, initial: int, slope: float, ratio: float
) -> tuple[tuple[int, int], ...]:
    """Width and number of blocks of each stage, (width, n_blocks).

    Block `j` would have `initial + slope * j` channels. That is rounded to `initial` times a whole
    power of `ratio`, and this to a multiple of 8; neighbours of one width are a stage.

    Args:
        depth: number of blocks.
        initial: channels of the first.
        slope: channels that each has more than the one before.
        ratio: of the widths of neighbouring stages, above 1.

    References:
        Radosavovic, Kosaraju, Girshick, He, Dollár: Designing Network Design Spaces. CVPR 2020,
        equations 2 to 4.
    """
    powers = [round(math.log1p(slope * j / initial) / math.log(ratio)) for j in range(depth)]
    widths = [8 * round(initial * ratio**power / 8) for power in powers]
    return tuple((width, len([*blocks])) for width, blocks in groupby(widths))
