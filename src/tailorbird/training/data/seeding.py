"""Common generators of random numbers, set for the moment in which an image is augmented."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def seeded(generator: torch.Generator) -> Iterator[None]:
    """Lets Python's, NumPy's and torch's common generators depend on one inside.

    Transforms of images draw from these. Afterwards they are as they were.
    """
    seed = int(torch.randint(2**31, (), generator=generator))
    state, numpy_state, torch_state = (
        random.getstate(),
        np.random.get_state(),  # noqa: NPY002  # it is this one that transforms draw from
        torch.get_rng_state(),
    )
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  # likewise
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(state)
        np.random.set_state(numpy_state)  # noqa: NPY002  # likewise
        torch.set_rng_state(torch_state)
