"""A made-up trade-off on ofa-mobilenetv3 that costs nothing to evaluate, and needs only numpy.

Accuracy saturates in a sum over the blocks that run; latency is linear in them.
"""

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

_STAGES, _SLOTS = 5, 4
_VALUE, _COST = np.random.default_rng(20).uniform(0.2, 1.8, size=(2, _STAGES, _SLOTS))


def accuracy(X: IntArray) -> FloatArray:
    """Of canonical rows (n, 45), (n,), in percent."""
    kernel, expand, runs = _blocks(X)
    worth = (_VALUE * runs * (3 + kernel + 2 * expand - 0.3 * expand**2)).sum(axis=(1, 2))
    return np.asarray(55 + 25 * np.tanh(worth / 80))


def latency_ms(X: IntArray) -> FloatArray:
    """Of canonical rows (n, 45), (n,)."""
    kernel, expand, runs = _blocks(X)
    return np.asarray(5 + (_COST * runs * (1 + 0.4 * kernel) * (1 + expand)).sum(axis=(1, 2)))


def canonical(kernels: IntArray, expansions: IntArray, depths: IntArray) -> IntArray:
    """Rows (n, 45) as tailorbird has them: genes by stage, those of unused slots 0.

    Args:
        kernels: numbers of the choices 3, 5, 7, (n, 20).
        expansions: of the choices 3, 4, 6, (n, 20).
        depths: of the choices 2, 3, 4, (n, 5).
    """
    pairs = np.stack([kernels, expansions], axis=-1).reshape(-1, _STAGES, _SLOTS, 2)
    runs = np.arange(_SLOTS) < depths[:, :, None] + 2
    genes = np.where(runs[..., None], pairs, 0).reshape(-1, _STAGES, 2 * _SLOTS)
    return np.concatenate([depths[:, :, None], genes], axis=2).reshape(len(depths), -1)


def _blocks(X: IntArray) -> tuple[IntArray, IntArray, NDArray[np.bool_]]:
    """Kernel, expansion and presence of each block, (n, 5, 4) each."""
    stages = X.reshape(len(X), _STAGES, 1 + 2 * _SLOTS)
    runs = np.arange(_SLOTS) < stages[:, :, :1] + 2
    return stages[:, :, 1::2], stages[:, :, 2::2], runs
