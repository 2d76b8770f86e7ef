"""Folders of pictures that benchmarks make: smooth random ones, each class around a colour."""

from pathlib import Path

import numpy as np
from PIL import Image

from tailorbird.spaces import IntArray

_QUALITY = 90


def make_pictures(
    folder: Path, n_of: dict[str, int], size: tuple[int, int], n_classes: int, seed: int = 0
) -> None:
    """Writes JPEGs as `folder/SPLIT/CLASS/NUMBER.jpg`, unless the folder is there.

    Args:
        folder: of all splits.
        n_of: number of pictures, by split.
        size: width and height, pixels.
        n_classes: that take turns.
        seed: of what is on the pictures.
    """
    if folder.exists():
        return
    rng = np.random.default_rng(seed)
    colours = rng.integers(40, 216, (n_classes, 3))
    part = folder.with_name(f".{folder.name}.part")
    for split, n in n_of.items():
        for number in range(n):
            label = number % n_classes
            path = part / split / f"class{label:03d}" / f"{number:06d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            _picture(colours[label], size, rng).save(path, quality=_QUALITY)
    part.rename(folder)


def _picture(colour: IntArray, size: tuple[int, int], rng: np.random.Generator) -> Image.Image:
    """Smooth shapes with some noise: as many bytes as photographs of that size have."""
    coarse = rng.normal(colour, 50, (12, 16, 3)).clip(0, 255).astype(np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC), np.int64)
    noise = rng.integers(-12, 13, (size[1], size[0], 1))
    return Image.fromarray((smooth + noise).clip(0, 255).astype(np.uint8))
