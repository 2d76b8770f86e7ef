"""Which blocks of two neighbouring anchors a stitching layer may join."""

from itertools import product


def block_pairs(depth: int, kernel: int, stride: int) -> dict[tuple[int, int], int]:
    """The stitching layer of each (exit block, entry block), by a sliding window.

    Block pairs inside a window of `kernel` blocks may be joined, in either order; a pair belongs
    to the first window that holds it, and the pairs that a window adds share one stitching layer.

    Args:
        depth: blocks of either anchor.
        kernel: blocks in a window.
        stride: blocks between the starts of two windows.

    Returns:
        Layer index by pair, in the order of the windows.

    References:
        Pan, Cai, Zhuang: Stitchable Neural Networks. CVPR 2023.
    """
    layer_of: dict[tuple[int, int], int] = {}
    n_layers = 0
    for start in range(0, depth, stride):
        window = range(start, min(start + kernel, depth))
        added = [pair for pair in product(window, window) if pair not in layer_of]
        layer_of.update(dict.fromkeys(added, n_layers))
        n_layers += bool(added)
    return layer_of
