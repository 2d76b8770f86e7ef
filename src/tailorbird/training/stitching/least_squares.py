"""Initial weights of stitching layers, by least squares."""

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from tailorbird.errors import TrainingError
from tailorbird.spaces.stitching import Part, StitchSpace
from tailorbird.training.compute import device_of
from tailorbird.training.data.images import LabelledImages, inputs
from tailorbird.training.shared.network import SharedNetwork
from tailorbird.training.shared.prefixes import run

_BATCH = 32


@torch.no_grad()
def initialise_stitches(
    space: StitchSpace, network: SharedNetwork, train: LabelledImages, n_images: int
) -> None:
    """Sets each stitching layer to the affine map that fits the anchors' activations best.

    A layer maps the output of its exit blocks to the input of its entry blocks. All block pairs
    that share a layer enter one least-squares problem. Of the rows seen so far only the triangular
    factor of their QR decomposition is kept, in float64; unlike normal equations it does not square
    the condition number. It is solved by singular values, so that dead channels do no harm.

    Args:
        space: whose routes cross the layers.
        network: its anchors are trained; its stitching layers are changed. Anchors are in
            evaluation mode.
        train: images, which are not augmented.
        n_images: how many of them to use; the paper took 100, and 0 leaves layers as they are.

    Raises:
        TrainingError: if activations are not finite.

    References:
        Pan, Cai, Zhuang: Stitchable Neural Networks. CVPR 2023.
        Golub, Van Loan: Matrix Computations, section 5.3. Johns Hopkins 2013.
    """
    network.eval()
    device = device_of(network)
    factor: dict[Part, Tensor] = defaultdict(lambda: torch.zeros((0, 0), dtype=torch.float64))
    order = np.random.default_rng(0).permutation(len(train.labels))[:n_images]
    for first in range(0, len(order), _BATCH):
        x = inputs(train, order[first : first + _BATCH], device)
        states = [list(_activations(space, network, a, x)) for a in range(len(space.depths))]
        for stitch in space.stitches:
            source = _rows(states[stitch.source][stitch.leave + 1])
            ones = source.new_ones(len(source), 1)
            new = torch.cat([source, ones, _rows(states[stitch.target][stitch.enter])], dim=1)
            before = factor[stitch.part].to(new.device).reshape(-1, new.shape[1])
            factor[stitch.part] = torch.linalg.qr(torch.cat([before, new]), mode="r").R
    for part, triangle in factor.items():
        R = triangle.cpu()  # singular values are solved for there alone
        layer = network.parts[str(part)]
        assert isinstance(layer, nn.Linear | nn.Conv2d)
        assert layer.bias is not None
        if not torch.isfinite(R).all():
            raise TrainingError(
                f"Activations must be finite, but some of those that {part} joins are not. Look "
                "for values in the images, or in the anchors' weights, that are not finite."
            )
        n_in = layer.weight.shape[1] + 1
        solved = torch.linalg.lstsq(R[:, :n_in], R[:, n_in:], driver="gelsd").solution
        layer.weight.copy_(solved[:-1].T.reshape(layer.weight.shape))
        layer.bias.copy_(solved[-1])


def _activations(
    space: StitchSpace, network: SharedNetwork, anchor: int, x: Tensor
) -> Iterator[Tensor]:
    """Input of the first block, then the output of each block."""
    blocks = (Part("block", anchor, i) for i in range(space.depths[anchor]))
    parts = [Part("embedding", anchor), *blocks]
    for name in map(str, parts):
        x = run(network.parts[name], x, name)
        yield x


def _rows(x: Tensor) -> Tensor:
    """Tokens (n, t, c) or maps (n, c, h, w) to float64 rows (-1, c)."""
    last = x.movedim(1, -1) if x.ndim == 4 else x
    rows = last.flatten(0, -2)
    return (rows.cpu() if rows.device.type == "mps" else rows).double()  # which has no float64
