"""A user's module with twenty images that mean nothing."""

_MODULE = """
import numpy as np

from tailorbird.training import Dataset, Split


def load():
    rng = np.random.default_rng(0)
    splits = [
        Split(rng.standard_normal((20, CHANNELS, SIDE, SIDE), dtype=np.float32), np.arange(20) % 10)
        for _ in range(3)
    ]
    return Dataset("tiny", 10, *splits)
"""


def images(channels: int, side: int) -> str:
    """Source of a module whose `load` gives a data set of ten classes."""
    return _MODULE.replace("CHANNELS", str(channels)).replace("SIDE", str(side))
