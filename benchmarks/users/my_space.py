"""Each block has a quarter, a half, three quarters or all of its channels inside."""

from my_digits_net import Block, Head, Stem

from tailorbird.spaces import Elastic, Stage


def space(batch):
    blocks = Stage(Block, depth=6, inner=(8, 16, 24, 32))
    return Elastic("my-digits-net", (batch, 1, 8, 8), Stem, [blocks], Head)
