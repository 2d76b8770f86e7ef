"""Augmentations: random changes of training images that leave their labels alone."""

import torch
import torch.nn.functional as F
from torch import Tensor


def shift(images: Tensor, generator: torch.Generator, by: int = 1) -> Tensor:
    """Each image (n, c, h, w) moved by up to `by` pixels either way; its edge is repeated."""
    height, width = images.shape[2:]
    padded = F.pad(images, (by,) * 4, mode="replicate")
    windows = padded.unfold(2, height, 1).unfold(3, width, 1)  # (n, c, 2 by + 1, 2 by + 1, h, w)
    down, right = torch.randint(0, 2 * by + 1, (2, len(images)), generator=generator)
    return windows[torch.arange(len(images)), :, down, right]


def shift_and_flip(images: Tensor, generator: torch.Generator) -> Tensor:
    """Images (n, c, h, w) moved by up to four pixels, and half of them mirrored."""
    moved = shift(images, generator, by=4)
    flipped = torch.rand(len(images), generator=generator) < 0.5
    return torch.where(flipped[:, None, None, None], moved.flip(3), moved)
