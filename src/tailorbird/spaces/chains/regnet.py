"""A design space of RegNets for images of any size."""

from functools import partial

from tailorbird.spaces.chains.listed_networks import ListedNetworks, Network, Row
from tailorbird.spaces.chains.quantised_widths import quantised_widths
from tailorbird.spaces.chains.workloads import Shape, first_conv, strided
from tailorbird.spaces.space import Variable
from tailorbird.spaces.workload import Workload, module_workload

_MODULES = "tailorbird.spaces.chains.regnet_modules"
_HEADS = "tailorbird.spaces.stitching.modules.heads"
_STEM, _STAGES = 32, 4
_DEPTHS = (6, 8, 10, 12, 14, 16, 18, 20, 22)
_INITIAL = (16, 24, 32, 48)
_SLOPES = (8, 12, 16, 20, 24, 32, 40, 48)
_RATIOS = (2.0, 2.5, 3.0)
_GROUPS = (8, 16)
_CHOICES: dict[str, tuple[float, ...]] = {
    "depth": _DEPTHS,
    "initial": _INITIAL,
    "slope": _SLOPES,
    "ratio": _RATIOS,
    "group": _GROUPS,
}


def regnet_layout(batch: int, resolution: int = 224, n_classes: int = 1000) -> ListedNetworks:
    """Networks of four stages, each of which halves the grid, whose widths grow linearly.

    Five numbers decide a network: number of blocks, width of the first, slope of the widths, ratio
    of the widths of neighbouring stages, and channels of a group.

    Args:
        batch: batch size.
        resolution: pixels along a side.
        n_classes: of the head.

    References:
        Radosavovic, Kosaraju, Girshick, He, Dollár: Designing Network Design Spaces. CVPR 2020.
        He, Yang, Song, Pu, Hu, Jiang, Zhang, Ding: Network Pruning Spaces. arXiv:2304.09453, 2023.
    """
    image = (batch, 3, resolution, resolution)
    return ListedNetworks(
        f"regnet(resolution={resolution},n_classes={n_classes})",
        tuple(Variable(name, tuple(map(str, values))) for name, values in _CHOICES.items()),
        image,
        (first_conv(image, _STEM, stride=2, h_swish=0),),
        partial(_network, strided(image, _STEM, 2), n_classes),
    )


def _network(shape: Shape, n_classes: int, row: Row) -> Network | None:
    """The network of a row behind a stem; None if it has another number of stages."""
    depth, initial, slope, ratio, group = _values(row)
    stages = quantised_widths(int(depth), int(initial), slope, ratio)
    if len(stages) != _STAGES:
        return None
    blocks, places = [], []
    for stage, (width, n_blocks) in enumerate(stages):
        to = int(group) * max(1, round(width / group))
        for slot in range(n_blocks):
            stride = 2 if slot == 0 else 1
            blocks.append(regnet_block(shape, to, stride=stride, group=int(group)))
            places.append(f"stage{stage}_{slot}")
            shape = strided(shape, to, stride)
    head = {"width": shape[1], "classes": n_classes}
    last = module_workload(_HEADS, "Head", "head", head, shape)
    return Network(tuple(blocks), tuple(places), (last,))


def _values(row: Row) -> tuple[float, ...]:
    return tuple(values[choice] for values, choice in zip(_CHOICES.values(), row, strict=True))


def regnet_block(shape: Shape, to: int, *, stride: int, group: int) -> Workload:
    """Workload of an X block.

    Args:
        shape: of its input, (n, channels, height, width).
        to: channels of its output, a multiple of `group`.
        stride: of its grouped convolution.
        group: channels of a group.
    """
    params = {"width": shape[1], "to": to, "stride": stride, "group": group}
    return module_workload(_MODULES, "RegNetBlock", "regnet_block", params, shape)
