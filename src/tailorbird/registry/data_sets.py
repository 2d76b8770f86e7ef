"""Data sets by the names of `[accuracy] data`: a line each."""

from collections.abc import Mapping

DATA_SETS: Mapping[str, str] = {
    "digits": "tailorbird.training.data.digits:load",
    "cifar10-jpeg": "tailorbird.training.data.cifar10:load_published",
}
"""Python paths of functions that load a `Dataset`."""

DEFAULT = "digits"
