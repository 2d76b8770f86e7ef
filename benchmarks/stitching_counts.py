"""Sizes of the named stitch spaces, and how far our multiply-adds are from published FLOPs.

Every size is the number of distinct rows that come out of an enumeration; block pairs and stitching
layers are those that the enumerated routes cross. They are compared with the counts of the papers,
which are written out here, as are those of other windows and depths. Where SN-Net or SN-Netv2
published a table, its rows are joined, which takes `tailorbird data get snnet`.

Exits with 1 if a count differs, if a difference exceeds its bar, or if a row of a space with a bar
finds no partner.
"""

import sys
from collections import Counter
from dataclasses import dataclass
from itertools import product

import numpy as np
from scripts import command_line, write_result

from tailorbird import spaces
from tailorbird.errors import PublishedTableError
from tailorbird.published.data_folder import data_folder
from tailorbird.published.snnet import snnet
from tailorbird.spaces.stitching import Part, Stitch, StitchSpace, TwoWay, Windows
from tailorbird.spaces.workload import Workload

NAMED = {
    "digits-resnet": 4_795,
    "cifar-resnet": 58,
    "deit-ti-s-b": 71,
    "deit3-s-l": 134,
    "swin-ti-s-b": 41,
    "resnet-18-50": 10,
    "efficientnet-lite-0-1-2": None,  # ours, no count is published
}
PUBLISHED = ("deit-ti-s-b", "deit3-s-l", "swin-ti-s-b", "resnet-18-50")
BARS = {"deit-ti-s-b": 0.01, "deit3-s-l": 0.03}
"""No row may be farther from us than this; and of all tables every row has to be joined."""
WINDOWS = {
    (1, 1): (12, 12),
    (2, 1): (34, 11),
    (2, 2): (24, 6),
    (3, 1): (54, 10),
    (3, 2): (44, 6),
    (4, 1): (72, 9),
}
"""Block pairs and stitching layers of (kernel, stride) for two anchors of twelve blocks."""
TWO_WAY = {(12, 12): 134, (12, 24): 134}
SWIN_STAGES = (1, 1, 1, 1, 17, 17)
"""Stitches by stage, then by pair of anchors; three anchors come on top."""


@dataclass(frozen=True)
class Plain:
    """Anchors of one stage each, of which nothing but the depth matters."""

    depths: tuple[int, ...]
    name: str = "plain"
    input_shape: tuple[int, ...] = (1, 1, 1)
    n_classes: int = 2

    @property
    def stages(self) -> tuple[tuple[int, ...], ...]:
        return tuple((depth,) for depth in self.depths)

    @property
    def anchors(self) -> tuple[str, ...]:
        return tuple(f"a{i}" for i in range(len(self.depths)))

    def workload(self, part: Part) -> Workload:
        params, inputs = (("anchor", part.anchor),), ((1, 1, 1 + part.anchor),)
        return Workload(part.kind, params, inputs, "torch.nn:Identity")


def enumerated(space: StitchSpace) -> tuple[int, list[Stitch]]:
    """Distinct rows, and the stitches that they cross."""
    X = np.unique(np.concatenate(list(space.enumerate())), axis=0)
    if len({space.describe(row) for row in X}) != len(X):
        raise AssertionError(f"Two rows of {space.name} are one route.")
    choices = np.unique(X[:, 1:])
    return len(X), [space.stitches[choice - 1] for choice in choices if choice]


def n_layers(stitches: list[Stitch]) -> int:
    return len({stitch.part for stitch in stitches})


def all_pairs_by_hand(depth: int, kernel: int, n_anchors: int, max_stitches: int) -> int:
    """Routes through all pairs of anchors, small to large, by going through every combination."""
    near = [(j, i) for j, i in product(range(depth), repeat=2) if abs(j - i) < kernel]
    routes = [(a, 0) for a in range(n_anchors)]  # anchor and entry block where they are now
    total = len(routes)
    for _ in range(max_stitches):
        routes = [
            (b, enter)
            for a, entry in routes
            for b in range(a + 1, n_anchors)
            for leave, enter in near
            if leave >= entry
        ]
        total += len(routes)
    return total


def swin_stages(space: StitchSpace, stitches: list[Stitch]) -> tuple[int, ...]:
    def place(stitch: Stitch) -> tuple[int, int]:
        ends = np.cumsum(space.family.stages[stitch.target])
        return int(np.searchsorted(ends, stitch.enter, side="right")), stitch.source

    return tuple(n for _, n in sorted(Counter(map(place, stitches)).items()))


class Checks:
    """What is printed, written and found wrong."""

    def __init__(self) -> None:
        self.rows: list[dict[str, object]] = []
        self.failures: list[str] = []

    def add(self, name: str, expected: object, found: object, **more: object) -> None:
        right = expected is None or expected == found
        if not right:
            self.failures.append(f"{name}: {found}, but {expected} is expected")
        self.rows.append({"name": name, "found": found, "expected": expected, **more})

    def size(self, name: str, space: StitchSpace, expected: int | None) -> list[Stitch]:
        size, stitches = enumerated(space)
        pairs, layers = len(stitches), n_layers(stitches)
        self.add(name, expected, size, n_block_pairs=pairs, n_stitching_layers=layers)
        print(f"{name:<36}{size:7}{'-' if expected is None else expected:>10}{pairs:7}{layers:8}")
        if space.size != size:
            self.failures.append(f"{name}: {size} rows, but its `size` is {space.size}")
        return stitches


def join(checks: Checks, named: dict[str, StitchSpace]) -> None:
    print(f"\n{'published table':<36}{'joined':>10}{'largest difference':>22}{'bar':>8}")
    for name in PUBLISHED:
        try:
            found, size = snnet(named[name], data_folder()), named[name].size
        except PublishedTableError as error:
            print(f"Not joined. {error}")
            checks.failures.append("the published table was not there")
            return
        difference = float(np.max(np.abs(found.n_macs / found.n_macs_published - 1)))
        bar, joined = BARS.get(name), f"{len(found.X)} of {size}"
        print(f"{name:<36}{joined:>10}{difference:22.3%}{'-' if bar is None else f'{bar:.0%}':>8}")
        checks.add(f"{name} joined", size, len(found.X), largest_difference=difference, bar=bar)
        if bar is not None and difference > bar:
            checks.failures.append(f"{name}: {difference:.2%} from the published FLOPs")


def main() -> None:
    parser = command_line(__doc__)
    arguments = parser.parse_args()
    checks = Checks()
    named: dict[str, StitchSpace] = {}
    print(f"{'space':<36}{'size':>7}{'expected':>10}{'pairs':>7}{'layers':>8}")
    for name, expected in NAMED.items():
        space = spaces.get(name)
        assert isinstance(space, StitchSpace)
        named[name] = space
        stitches = checks.size(name, space, expected)
        if name == "swin-ti-s-b":
            of_stage = swin_stages(space, stitches)
    for max_stitches in (1, 2):
        space = spaces.get("deit-ti-s-b", pairs="all", max_stitches=max_stitches)
        assert isinstance(space, StitchSpace)
        by_hand = all_pairs_by_hand(12, 2, 3, max_stitches)
        checks.size(f"deit-ti-s-b, all pairs, stitches<={max_stitches}", space, by_hand)
    for depths, expected in TWO_WAY.items():
        space = StitchSpace(Plain(depths), TwoWay(), max_stitches=2)
        checks.size(f"two-way, {depths[0]} and {depths[1]} blocks", space, expected)
    checks.add("swin-ti-s-b, stitches by stage and pair", SWIN_STAGES, of_stage)
    print(f"swin-ti-s-b, by stage and pair: 3 anchors + {' + '.join(map(str, of_stage))} stitches")

    print(f"\n{'window, 12 blocks':<36}{'pairs/layers':>17}{'expected':>12}")
    for (kernel, stride), (pairs, layers) in WINDOWS.items():
        space = StitchSpace(Plain((12, 12)), Windows(kernel, stride), max_stitches=1)
        _, stitches = enumerated(space)
        name, got = f"kernel {kernel}, stride {stride}", (len(stitches), n_layers(stitches))
        checks.add(name, (pairs, layers), got)
        print(f"{name:<36}{f'{got[0]}/{got[1]}':>17}{f'{pairs}/{layers}':>12}")

    join(checks, named)
    for failure in checks.failures:
        print(f"MISSED {failure}")
    result = {"checks": checks.rows, "failures": checks.failures}
    write_result(arguments.json, result)
    sys.exit(bool(checks.failures))


if __name__ == "__main__":
    main()
