"""Torch modules of vision transformers. Activations are tokens, (n, tokens, width).

Weights have timm's names, those of a block without its number.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_EPS = 1e-6
_SCALE = 1e-6  # of a branch before training


class Patches(nn.Module):
    """A linear layer on each patch of an image."""

    def __init__(self, width: int, patch: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, patch, stride=patch)

    def forward(self, x: Tensor) -> Tensor:
        """(n, 3, side, side) to (n, patches, width)."""
        y: Tensor = self.proj(x)
        return y.flatten(2).transpose(1, 2)


class PatchEmbedding(nn.Module):
    """A class token and an image's patches, with a position added to each."""

    def __init__(self, width: int, side: int, patch: int) -> None:
        super().__init__()
        self.patch_embed = Patches(width, patch)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(0.02 * torch.randn(1, (side // patch) ** 2 + 1, width))

    def forward(self, x: Tensor) -> Tensor:
        """(n, 3, side, side) to (n, 1 + patches, width)."""
        first = self.cls_token.expand(x.shape[0], -1, -1)
        return torch.cat([first, self.patch_embed(x)], dim=1) + self.pos_embed


class PatchPositionEmbedding(nn.Module):
    """A class token, which has no position, and an image's patches with theirs added."""

    def __init__(self, width: int, side: int, patch: int) -> None:
        super().__init__()
        self.patch_embed = Patches(width, patch)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(0.02 * torch.randn(1, (side // patch) ** 2, width))

    def forward(self, x: Tensor) -> Tensor:
        """(n, 3, side, side) to (n, 1 + patches, width)."""
        first = self.cls_token.expand(x.shape[0], -1, -1)
        return torch.cat([first, self.patch_embed(x) + self.pos_embed], dim=1)


class Attention(nn.Module):
    """Multi-head self-attention; a part of a larger one has its first heads."""

    def __init__(self, width: int, heads: int, head_dim: int) -> None:
        super().__init__()
        self.heads, self.head_dim = heads, head_dim
        self.qkv = nn.Linear(width, 3 * heads * head_dim)
        self.proj = nn.Linear(heads * head_dim, width)

    def forward(self, x: Tensor) -> Tensor:
        """Keeps the shape (n, tokens, width)."""
        n, tokens, _ = x.shape
        split = self.qkv(x).reshape(n, tokens, 3, self.heads, self.head_dim)
        q, k, v = split.permute(2, 0, 3, 1, 4).unbind(0)
        y = F.scaled_dot_product_attention(q, k, v)
        out: Tensor = self.proj(y.transpose(1, 2).reshape(n, tokens, self.heads * self.head_dim))
        return out

    def windows(self, name: str, shape: tuple[int, ...]) -> list[Sequence[int]] | None:
        """First rows of q, of k and of v, which follow each other in the shared tensor."""
        if not name.startswith("qkv."):
            return None
        n = self.heads * self.head_dim
        rows = [
            row for first in range(0, shape[0], shape[0] // 3) for row in range(first, first + n)
        ]
        return [rows, range(self.qkv.in_features)][: len(shape)]


class Mlp(nn.Module):
    """Two linear layers around a GELU."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """Keeps the shape (n, tokens, width)."""
        y: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return y


class SizedBlock(nn.Module):
    """Attention and an MLP, each normalised first and added to its input.

    References:
        Dosovitskiy et al.: An Image is Worth 16x16 Words. ICLR 2021.
    """

    def __init__(self, width: int, heads: int, head_dim: int, hidden: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=_EPS)
        self.attn = Attention(width, heads, head_dim)
        self.norm2 = nn.LayerNorm(width, eps=_EPS)
        self.mlp = Mlp(width, hidden)

    def forward(self, x: Tensor) -> Tensor:
        """Keeps the shape (n, tokens, width)."""
        x = x + self.attn(self.norm1(x))
        y: Tensor = self.mlp(self.norm2(x))
        return x + y


class Block(SizedBlock):
    """A block whose heads and MLP follow from its width."""

    def __init__(self, width: int, heads: int, mlp_ratio: int) -> None:
        super().__init__(width, heads, width // heads, mlp_ratio * width)


class LayerScale(nn.Module):
    """A learned factor for each channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((width,), _SCALE))

    def forward(self, x: Tensor) -> Tensor:
        """Keeps the shape (n, tokens, width)."""
        return x * self.gamma


class ScaledBlock(nn.Module):
    """A block whose two branches are scaled before they are added.

    References:
        Touvron, Cord, Sablayrolles, Synnaeve, Jégou: Going deeper with Image Transformers.
        ICCV 2021.
    """

    def __init__(self, width: int, heads: int, mlp_ratio: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=_EPS)
        self.attn = Attention(width, heads, width // heads)
        self.ls1 = LayerScale(width)
        self.norm2 = nn.LayerNorm(width, eps=_EPS)
        self.mlp = Mlp(width, mlp_ratio * width)
        self.ls2 = LayerScale(width)

    def forward(self, x: Tensor) -> Tensor:
        """Keeps the shape (n, tokens, width)."""
        x = x + self.ls1(self.attn(self.norm1(x)))
        y: Tensor = self.ls2(self.mlp(self.norm2(x)))
        return x + y


class Head(nn.Module):
    """Norm and one linear layer on the class token."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, eps=_EPS)
        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """(n, tokens, width) to logits (n, classes)."""
        # A norm looks at one token at a time, so the others need none.
        logits: Tensor = self.head(self.norm(x[:, 0]))
        return logits
