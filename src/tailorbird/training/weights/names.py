"""Names of weights: what wrappers and others' conventions make of those that a family knows."""

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

Where = tuple[Any, str]
"""The part of a network that a weight is in, and its name there."""

Place = Callable[[str], Where | None]
"""Gives where a weight goes, by its name in a state dict; or none."""

_DEPTH = 8  # of modules that wrap the one that is looked for

_INSERTED = ("_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module.")
"""What torch.compile, FSDP and checkpointing put in names, wherever the module was wrapped."""

_WRAPPERS = ("module", "model", "net", "network", "backbone")
"""Attributes by which modules hold the one that they wrap."""

_NO_WEIGHTS = frozenset(
    {
        *("total_ops", "total_params"),  # thop
        *("input_shape", "output_shape", "parameter_quantity", "inference_memory"),  # torchstat
        *("MAdd", "Flops", "Memory", "duration"),  # torchstat as well
        *("flops", "macs", "__flops__", "__params__", "n_averaged"),  # others, and torch's averages
        *("relative_position_index", "attn_mask"),  # of Swin: they follow from its shape
    }
)
"""Last parts of names of what counters leave in a state dict, and of what follows from shapes."""


@dataclass(frozen=True, slots=True)
class Convention:
    """Names that others gave the weights of networks that timm has as well.

    Attributes:
        owner: whose names they are.
        sign: of a name that no other convention has.
        rules: patterns of theirs, and what timm has instead; the first that matches is used.
    """

    owner: str
    sign: re.Pattern[str]
    rules: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = ()

    def rename(self, name: str) -> str:
        """Returns timm's name for a weight that has one of theirs."""
        for pattern, timms in self.rules:
            if found := pattern.fullmatch(name):
                return found.expand(timms) if isinstance(timms, str) else timms(found)
        return name


def _rules(
    *rules: tuple[str, str | Callable[[re.Match[str]], str]],
) -> tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...]:
    return tuple((re.compile(pattern), timms) for pattern, timms in rules)


def _merging(found: re.Match[str]) -> str:
    """Renames a patch merging, which ends a stage of Swin's authors and begins one of timm's."""
    return f"layers.{int(found[1]) + 1}.downsample.{found[2]}"


def _torchvision_block(found: re.Match[str]) -> str:
    mlp = found[3].replace("mlp.0.", "mlp.fc1.").replace("mlp.3.", "mlp.fc2.")
    return f"layers.{int(found[1]) // 2}.blocks.{found[2]}.{mlp}"


def _torchvision_merging(found: re.Match[str]) -> str:
    return f"layers.{int(found[1]) // 2}.downsample.{found[2]}"


_VIT_BLOCK = r"encoder\.layers\.encoder_layer_(\d+)\."

CONVENTIONS = (
    Convention(
        "Swin's authors",
        re.compile(r"layers\.0\.downsample\.reduction\.weight"),
        _rules(
            (r"layers\.(\d+)\.downsample\.(.+)", _merging),
            (r"head\.(weight|bias)", r"head.fc.\1"),
        ),
    ),
    Convention(
        "torchvision's Swin",
        re.compile(r"features\.1\.0\.attn\.qkv\.weight"),
        _rules(
            (r"features\.0\.0\.(.+)", r"patch_embed.proj.\1"),
            (r"features\.0\.2\.(.+)", r"patch_embed.norm.\1"),
            (r"features\.([1357])\.(\d+)\.(.+)", _torchvision_block),
            (r"features\.([246])\.(.+)", _torchvision_merging),
            (r"head\.(weight|bias)", r"head.fc.\1"),
        ),
    ),
    Convention(
        "torchvision's ViT",
        re.compile(_VIT_BLOCK + r"ln_1\.weight"),
        _rules(
            (r"class_token", "cls_token"),
            (r"encoder\.pos_embedding", "pos_embed"),
            (r"conv_proj\.(.+)", r"patch_embed.proj.\1"),
            (_VIT_BLOCK + r"ln_(\d)\.(.+)", r"blocks.\1.norm\2.\3"),
            (_VIT_BLOCK + r"self_attention\.in_proj_(.+)", r"blocks.\1.attn.qkv.\2"),
            (_VIT_BLOCK + r"self_attention\.out_proj\.(.+)", r"blocks.\1.attn.proj.\2"),
            (_VIT_BLOCK + r"mlp\.(?:linear_1|0)\.(.+)", r"blocks.\1.mlp.fc1.\2"),
            (_VIT_BLOCK + r"mlp\.(?:linear_2|3)\.(.+)", r"blocks.\1.mlp.fc2.\2"),
            (r"encoder\.ln\.(.+)", r"norm.\1"),
            (r"heads\.head\.(.+)", r"head.\1"),
        ),
    ),
    Convention(
        "the authors of DeiT III",
        re.compile(r"blocks\.0\.gamma_1"),
        _rules((r"blocks\.(\d+)\.gamma_([12])", r"blocks.\1.ls\2.gamma")),
    ),
    # Known, so that it can be said, but each of our weights is made of several of theirs.
    Convention(
        "Hugging Face's transformers, where queries, keys and values lie apart: timm's are needed",
        re.compile(r".*attention\.query\.weight"),
    ),
)


@dataclass(frozen=True, slots=True)
class Sorted:
    """The names in a file, by what they are for.

    Attributes:
        placed: part and name there of each that has a place.
        unplaced: names without a place, as in the file.
        no_weights: names of what counters left behind, and of what follows from shapes.
        owner: whose convention the names follow, if it is not the family's own and known.
    """

    placed: dict[str, Where]
    unplaced: tuple[str, ...]
    no_weights: tuple[str, ...]
    owner: str | None


def sort_names(names: Collection[str], place: Place) -> Sorted:
    """Finds the places of weights, whatever their module was wrapped in and whoever named them.

    What all names begin with is taken off if more of them have a place then, and likewise what
    wrappers are usually called, from each name.

    Args:
        names: of a state dict.
        place: of each.
    """
    kept = [n for n in names if n.rpartition(".")[2] not in _NO_WEIGHTS or place(n) is not None]
    owner, best = None, dict[str, Where]()
    for bare in _bared(kept):
        for convention in (None, *CONVENTIONS):
            if convention is not None:
                if not any(map(convention.sign.fullmatch, bare)):
                    continue
                owner = owner or convention.owner
            rename = str if convention is None else convention.rename
            places = {n: place(rename(b)) for n, b in zip(kept, bare, strict=True)}
            placed = {n: where for n, where in places.items() if where is not None}
            if len(set(placed.values())) > len(set(best.values())):
                best = placed
        if len(best) == len(kept):
            break
    return Sorted(
        best,
        tuple(n for n in kept if n not in best),
        tuple(sorted(set(names) - set(kept))),
        owner,
    )


def _bared(names: Sequence[str]) -> list[list[str]]:
    """Lists of names to try: as they are, without what all begin with, and without wrappers."""
    plain = list(names)
    for inserted in _INSERTED:
        plain = [name.replace(inserted, "") for name in plain]
    bared = [list(names), plain]
    shared = plain
    for _ in range(_DEPTH):
        if len({name.partition(".")[0] for name in shared}) != 1:
            break
        shared = [name.partition(".")[2] for name in shared]
        bared.append(shared)
    return [*bared, [_unwrapped(name) for name in plain]]


def _unwrapped(name: str) -> str:
    first, _, rest = name.partition(".")
    while rest and first in _WRAPPERS:
        name = rest
        first, _, rest = name.partition(".")
    return name
