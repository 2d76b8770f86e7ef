"""Torch modules of transformers with shifted windows, made of timm's.

Activations are tokens, (n, tokens, width): runtimes take four dimensions for an image's, and would
put its channels last.
"""

from torch import Tensor, nn

from tailorbird.errors import MissingPackageError

try:
    from timm.layers.patch_embed import PatchEmbed
    from timm.models.swin_transformer import PatchMerging, SwinTransformerBlock
except ModuleNotFoundError as error:
    raise MissingPackageError(
        f"Swin is made of timm's modules ({error}); get them with `pip install 'tailorbird[timm]'`."
    ) from None


class Embedding(nn.Module):
    """Patches of an image as tokens, normalised."""

    def __init__(self, width: int, side: int, patch: int) -> None:
        super().__init__()
        self.patch_embed = PatchEmbed(side, patch, embed_dim=width, norm_layer=nn.LayerNorm)

    def forward(self, x: Tensor) -> Tensor:
        """(n, 3, side, side) to (n, tokens, width)."""
        tokens: Tensor = self.patch_embed(x)
        return tokens


class Block(nn.Module):
    """Attention in windows of a grid of tokens, and an MLP."""

    def __init__(
        self, width: int, heads: int, side: int, window: int, shift: int, mlp_ratio: int
    ) -> None:
        super().__init__()
        self.side = side
        self.block = SwinTransformerBlock(
            width, (side, side), heads, window_size=window, shift_size=shift, mlp_ratio=mlp_ratio
        )

    def forward(self, x: Tensor) -> Tensor:
        """Keeps the shape (n, side * side, width)."""
        grid: Tensor = self.block(x.reshape(x.shape[0], self.side, self.side, -1))
        return grid.flatten(1, 2)


class MergingBlock(nn.Module):
    """A block behind a layer that makes one token of every four neighbours."""

    def __init__(
        self, width: int, heads: int, side: int, window: int, shift: int, mlp_ratio: int
    ) -> None:
        super().__init__()
        self.side_before = 2 * side
        self.downsample = PatchMerging(width // 2)
        self.block = SwinTransformerBlock(
            width, (side, side), heads, window_size=window, shift_size=shift, mlp_ratio=mlp_ratio
        )

    def forward(self, x: Tensor) -> Tensor:
        """(n, 4 * side * side, width / 2) to (n, side * side, width)."""
        before = x.reshape(x.shape[0], self.side_before, self.side_before, -1)
        grid: Tensor = self.block(self.downsample(before))
        return grid.flatten(1, 2)


class Head(nn.Module):
    """Norm, mean over tokens, and one linear layer."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.fc = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """(n, tokens, width) to logits (n, classes)."""
        logits: Tensor = self.fc(self.norm(x).mean(dim=1))
        return logits
