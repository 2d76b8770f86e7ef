"""Pictures of networks: their blocks, and below them the milliseconds that each takes."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from tailorbird.reports.plots.scale import number, round_above
from tailorbird.reports.templates import template
from tailorbird.reports.wording import with_error
from tailorbird.spaces.outline import Block, Outline

_LANE, _NAME, _GAP = 34, 14, 10  # pixels: height of the widest block, of a lane's name, below it
_TIMES = 90  # pixels of the bars
_NARROWEST = 0.3  # of the height of a lane, so that labels can be read
_LONGEST_LABEL = 3  # characters

WorkloadMs = Mapping[str, tuple[float, float]]
"""Milliseconds that a workload adds to a network, and their standard deviation, by its key."""


@dataclass(frozen=True, slots=True)
class Box:
    """A block where it is drawn: per cent from the left, pixels from the top.

    Attributes:
        left: where it begins, in per cent.
        across: its width.
        top: pixels.
        height: pixels.
        text: for who points at it; empty if the network does without it.
        label: that stands in it.
        is_taken: true if the network has it.
    """

    left: float
    across: float
    top: float
    height: float
    text: str
    label: str
    is_taken: bool


@dataclass(frozen=True, slots=True)
class NetworkPicture:
    """A network as rows of blocks, with times where they are known.

    Attributes:
        title: for who cannot see it.
        outline: of the network.
        ms: of workloads, as far as they are known.
    """

    title: str
    outline: Outline
    ms: WorkloadMs

    def __html__(self) -> str:
        times, most = self._times(), self._most_ms
        return template("plots/network.html.j2").render(
            picture=self,
            lanes=[(name, self._top(i) - 4) for i, name in enumerate(self.outline.lanes)],
            boxes=[self._box(block) for block in self.outline.blocks if block.to is None],
            stitches=[self._stitch(b) for b in self.outline.blocks if b.to is not None],
            height=self._top(len(self.outline.lanes)) - _NAME,
            times=times,
            times_height=_TIMES,
            most=f"{number(most, 3)} ms" if times else "",
        )

    @property
    def _widest(self) -> int:
        return max(block.width for block in self.outline.blocks)

    def _top(self, lane: int) -> float:
        return _NAME + lane * (_LANE + _NAME + _GAP)

    def _box(self, block: Block) -> Box:
        # By the square root: heads are much wider than blocks, whose differences are to be seen.
        height = max(_NARROWEST, math.sqrt(block.width / self._widest)) * _LANE
        return Box(
            100 * block.begin + 0.15,
            100 * (block.end - block.begin) - 0.3,
            self._top(block.lane) + (_LANE - height) / 2,
            height,
            self._text(block),
            block.label if len(block.label) <= _LONGEST_LABEL else "",
            block.workload is not None,
        )

    def _stitch(self, block: Block) -> tuple[float, float, float, float, str]:
        """Both ends of a line from one lane to another, (x, y) each, and its text."""
        rise = _LANE / 2
        y, to = self._top(block.lane) + rise, self._top(block.to or 0) + rise
        return 100 * block.begin, y, 100 * block.end, to, self._text(block)

    def _text(self, block: Block) -> str:
        if block.workload is None:
            return ""
        known = self.ms.get(block.workload.key)
        took = f": {with_error(*known, 'ms')}" if known else ""
        return f"{block.workload.key}{took}"

    @property
    def _taken(self) -> list[tuple[Block, float, float]]:
        """Blocks that run, with their milliseconds."""
        runs = [block for block in self.outline.blocks if block.workload is not None]
        return [
            (block, *self.ms[block.workload.key])
            for block in runs
            if block.workload is not None and block.workload.key in self.ms
        ]

    @property
    def _most_ms(self) -> float:
        """A round number of milliseconds that no bar exceeds."""
        most = max((ms + std for _, ms, std in self._taken), default=0.0)
        return round_above(most, 4) if most > 0 else 1.0

    def _times(self) -> list[tuple[float, float, float, float, float, str]]:
        """Left end and width in per cent, top, height, and ends of a whisker, of each bar."""
        bars, most = [], self._most_ms
        for block, ms, std in self._taken:
            begin, end = sorted((block.begin, block.end))
            across = max(100 * (end - begin) - 0.4, 0.6)
            height = _TIMES * max(ms, 0.0) / most
            reach = _TIMES * min(std, most) / most
            told = with_error(ms, std, "ms")
            bars.append((100 * begin + 0.2, across, _TIMES - height, height, reach, told))
        return bars
