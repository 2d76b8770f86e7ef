"""Networks that take pixels as pictures have them, and bring these into their range themselves."""

import torch
from torch import Tensor, nn

from tailorbird.spaces.preprocessing import Preprocessing


class Prepared(nn.Module):
    """A network of pixels (n, height, width, channels) of 0 to 255, as bytes.

    Pictures must have the size that the network takes: resizing is not in its graph.

    Args:
        network: of images, (n, channels, height, width).
        preprocessing: how pictures become these.
    """

    def __init__(self, network: nn.Module, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.network, self.is_flipped = network, preprocessing.channels == "bgr"
        scale, offset = (torch.tensor(v) for v in preprocessing.scale_and_offset)
        self.scale: Tensor
        self.offset: Tensor
        self.register_buffer("scale", scale)
        self.register_buffer("offset", offset)

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits (n, classes) of pixels."""
        values = pixels.flip(-1) if self.is_flipped else pixels
        images: Tensor = values.float() * self.scale + self.offset
        logits: Tensor = self.network(images.permute(0, 3, 1, 2).contiguous())
        return logits


def pixels_of(images: Tensor, preprocessing: Preprocessing) -> Tensor:
    """The pixels that are nearest to images (n, channels, height, width), as bytes."""
    scale, offset = (torch.tensor(v) for v in preprocessing.scale_and_offset)
    values = ((images.permute(0, 2, 3, 1) - offset) / scale).round().clamp(0, 255)
    values = values.flip(-1) if preprocessing.channels == "bgr" else values
    return values.to(torch.uint8)
