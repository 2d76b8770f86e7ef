"""Names `layerS.I.…` of weights of residual networks, and the parts that they belong to."""

import re

from tailorbird.spaces.stitching.family import Family, Part, blocks_of

_EMBEDDING = ("conv1.", "bn1.")


def place(
    family: Family, anchor: int, name: str, block: re.Pattern[str], head: str
) -> tuple[Part, str]:
    """The part that a weight of an anchor's state dict belongs to, and its name there.

    Args:
        family: of residual networks.
        anchor: of the state dict.
        name: of the weight.
        block: what names of a block's weights look like, with groups for the number of the stage,
            from 1, for that of the block within it, from 0, and for the name within the block.
        head: how names of the head's weights begin.

    Raises:
        KeyError: if an anchor has no such weight.
    """
    if name.startswith(_EMBEDDING):
        return Part("embedding", anchor), name
    if name.startswith(head):
        return Part("head", anchor), name
    if match := block.fullmatch(name):
        blocks, number = blocks_of(family, anchor), (int(match[1]) - 1, int(match[2]))
        if number in blocks:
            return Part("block", anchor, blocks.index(number)), match[3]
    raise KeyError(name)


def name_of(family: Family, part: Part, inner: str) -> str:
    """The name of a part's weight in an anchor's state dict: what `place` takes."""
    if part.kind != "block":
        return inner
    stage, i = blocks_of(family, part.anchor)[part.index]
    return f"layer{stage + 1}.{i}.{inner}"
