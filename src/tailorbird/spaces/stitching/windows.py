"""Stitches from small anchors to larger ones, between blocks at similar depths."""

from dataclasses import dataclass
from itertools import product

from tailorbird.spaces.stitching.family import Family
from tailorbird.spaces.stitching.stitch import Reach, Stitch, anchor_pairs


@dataclass(frozen=True, slots=True)
class Windows:
    """SN-Net's rule: stitches lead from a smaller anchor to a larger one, at similar depths.

    Anchors of one stage and equal depth are joined inside sliding windows, in either order of the
    blocks. Between anchors with several stages, stitches stay inside a stage and enter a later
    block than they leave, so that they never enter where a stage changes its grid; stages of
    unequal depth are joined to the nearest block by relative depth.

    Attributes:
        kernel: blocks in a window.
        stride: blocks between the starts of two windows.
        reach: which anchors are joined.
        skipped_stages: stages without stitches.

    References:
        Pan, Cai, Zhuang: Stitchable Neural Networks. CVPR 2023.
    """

    kernel: int
    stride: int
    reach: Reach = "neighbours"
    skipped_stages: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for law, value in (("kernel", self.kernel), ("stride", self.stride)):
            if value < 1:
                raise ValueError(f"`{law} >= 1` must hold, but got {value}.")

    def __str__(self) -> str:
        pairs = "" if self.reach == "neighbours" else f",pairs={self.reach}"
        skipped = "".join(f",without_stage={stage}" for stage in self.skipped_stages)
        return f"kernel={self.kernel},stride={self.stride}{pairs}{skipped}"

    def stitches(self, family: Family) -> tuple[Stitch, ...]:
        """All stitches of a family, ordered by pair of anchors."""
        return tuple(
            Stitch(a, leave, b, enter, layer)
            for a, b in anchor_pairs(family, self.reach)
            for (leave, enter), layer in self._joined(family.stages[a], family.stages[b]).items()
        )

    def _joined(self, front: tuple[int, ...], end: tuple[int, ...]) -> dict[tuple[int, int], int]:
        """Stitching layer of each (exit block, entry block), numbered through all stages."""
        if len(front) == 1 and front == end:
            return block_pairs(front[0], self.kernel, self.stride)
        joined: dict[tuple[int, int], int] = {}
        for stage in range(len(front)):
            if stage in self.skipped_stages:
                continue
            local = (
                block_pairs(front[stage], self.kernel, self.stride)
                if front[stage] == end[stage]
                else nearest_pairs(front[stage], end[stage])
            )
            later = {pair: layer for pair, layer in local.items() if pair[0] < pair[1]}
            first = len(set(joined.values()))
            number = {layer: first + i for i, layer in enumerate(dict.fromkeys(later.values()))}
            before, ahead = sum(front[:stage]), sum(end[:stage])
            joined |= {(before + j, ahead + i): number[k] for (j, i), k in later.items()}
        return joined


def block_pairs(depth: int, kernel: int, stride: int) -> dict[tuple[int, int], int]:
    """Stitching layer of each (exit block, entry block), by a sliding window.

    Block pairs inside a window of `kernel` blocks may be joined, in either order; a pair belongs
    to the first window that holds it, and the pairs that a window adds share one stitching layer.

    Args:
        depth: blocks of either anchor.
        kernel: blocks in a window.
        stride: blocks between the starts of two windows.

    Returns:
        Layer index by pair, in the order of the windows.
    """
    layer_of: dict[tuple[int, int], int] = {}
    n_layers = 0
    for start in range(0, depth, stride):
        window = range(start, min(start + kernel, depth))
        added = [pair for pair in product(window, window) if pair not in layer_of]
        layer_of.update(dict.fromkeys(added, n_layers))
        n_layers += bool(added)
    return layer_of


def nearest_pairs(front: int, end: int) -> dict[tuple[int, int], int]:
    """Stitching layer of each (exit block, entry block) that are nearest by relative depth.

    Each exit block has a layer of its own.
    """
    return {(i * front // end, i): i * front // end for i in range(end)}
