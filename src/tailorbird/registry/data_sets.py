"""Data sets by the names of `[accuracy] data`: a line each."""

from collections.abc import Mapping

DATA_SETS: Mapping[str, str] = {
    "digits": "tailorbird.training.data.digits:load",
    "cifar10-jpeg": "tailorbird.training.data.cifar10:load_published",
}
"""Python paths of functions that load a `Dataset`."""

DEFAULT = "digits"
"""What is learned from unless a recipe names something else."""

TIMM = ("torch/", "hfds/", "hfids/", "tfds/", "wds/")
"""What names begin with that timm knows."""


def is_of_timm(name: str) -> bool:
    """True if timm knows a data set by this name; it may still refuse it."""
    return name.lower().startswith(TIMM)


def is_of_pictures(name: str) -> bool:
    """True if it is the path of a folder, or a name that timm knows, rather than one of ours."""
    return name not in DATA_SETS and ("/" in name or "\\" in name)
