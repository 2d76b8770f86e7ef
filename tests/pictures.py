"""Folders of small JPEGs for tests."""

from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("ant", "bee", "cat")


def write_pictures(
    folder: Path,
    n_of: dict[str, int],
    size: tuple[int, int] = (24, 20),
    classes: tuple[str, ...] = CLASSES,
) -> Path:
    """Writes `SPLIT/CLASS/NUMBER.jpg`; classes take turns, and each has a colour of its own."""
    rng = np.random.default_rng(0)
    colours = rng.integers(30, 226, (len(classes), 3))
    for split, n in n_of.items():
        for number in range(n):
            label = number % len(classes)
            path = folder / split / classes[label] / f"{number:04d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            coarse = rng.normal(colours[label], 40, (5, 6, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(path, quality=95)
    return folder
