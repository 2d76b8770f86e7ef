"""Where stitching layers start."""

from collections import defaultdict

import torch
from torch import Tensor, nn

from tailorbird.spaces.stitching import Part, StitchSpace
from tailorbird.training.network import StitchedNetwork


@torch.inference_mode()
def initialise_stitches(space: StitchSpace, network: StitchedNetwork, images: Tensor) -> None:
    """Sets each stitching layer to the affine map that fits the anchors' activations best.

    A layer maps the output of its exit blocks to the input of its entry blocks. All block pairs
    that share a layer enter one least-squares problem, accumulated in float64 as normal
    equations and solved by singular values, so that dead channels do no harm.

    Args:
        space: whose routes cross the layers.
        network: its anchors are trained; its stitching layers are changed.
        images: training images, not augmented, (n, channels, height, width).

    References:
        Pan, Cai, Zhuang: Stitchable Neural Networks. CVPR 2023.
    """
    network.eval()
    states = [_activations(space, network, row[0], images) for row in space.landmarks]
    for anchor in range(len(states) - 1):
        gram: dict[int, Tensor] = defaultdict(_nothing)
        cross: dict[int, Tensor] = defaultdict(_nothing)
        for (leave, enter), layer in space.layer_of.items():
            x = _pixels(states[anchor][leave + 1])
            x = torch.cat([x, x.new_ones(len(x), 1)], dim=1)
            gram[layer] = gram[layer] + x.T @ x
            cross[layer] = cross[layer] + x.T @ _pixels(states[anchor + 1][enter])
        for layer in gram:
            solution = torch.linalg.lstsq(gram[layer], cross[layer], driver="gelsd").solution
            (stitch,) = network.modules_of([Part("stitch", anchor, layer)])
            assert isinstance(stitch, nn.Conv2d)
            assert stitch.bias is not None
            stitch.weight.copy_(solution[:-1].T[:, :, None, None])
            stitch.bias.copy_(solution[-1])


def _activations(
    space: StitchSpace, network: StitchedNetwork, anchor: int, images: Tensor
) -> list[Tensor]:
    """Input of the first block, then the output of each block."""
    blocks = (Part("block", anchor, i) for i in range(space.family.depth))
    states = [images]
    for module in network.modules_of([Part("embedding", anchor), *blocks]):
        states.append(module(states[-1]))
    return states[1:]


def _nothing() -> Tensor:
    """A zero to add matrices of any shape to."""
    return torch.zeros((), dtype=torch.float64)


def _pixels(x: Tensor) -> Tensor:
    """(n, c, h, w) to float64 rows (n * h * w, c)."""
    return x.permute(0, 2, 3, 1).flatten(0, 2).double()
