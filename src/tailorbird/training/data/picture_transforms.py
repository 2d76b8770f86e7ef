"""Transforms of pictures into pixels, timm's and torchvision's: as evaluated, and augmented."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tailorbird.errors import ContractError, in_a_line, raising
from tailorbird.spaces.preprocessing import Preprocessing

SMALL = 64
"""Pixels up to which images are shifted rather than cut out of larger ones."""

Transform = Callable[[Image.Image], NDArray[np.uint8]]
"""Makes pixels (channels, height, width) of a picture."""


@dataclass(frozen=True, slots=True)
class Augmentation:
    """Random changes of pictures that networks learn from.

    Attributes:
        scale: least and largest share of a picture's area that is cut out and resized; if None,
            0.08 to 1, and images of up to 64 pixels are shifted by an eighth of that instead.
        flip: how often a picture is mirrored.
        color_jitter: how much brightness, contrast and saturation change, as shares of them.
        auto_augment: further changes, in timm's notation, such as `rand-m9-mstd0.5`; none if None.

    References:
        Szegedy et al.: Going Deeper with Convolutions. CVPR 2015.
        Cubuk, Zoph, Shlens, Le: RandAugment. CVPR Workshops 2020.
    """

    scale: tuple[float, float] | None = None
    flip: float = 0.5
    color_jitter: float = 0.0
    auto_augment: str | None = None


def transforms_of(
    preprocessing: Preprocessing, augmentation: Augmentation
) -> tuple[Transform, Transform]:
    """Transforms of images as they are evaluated, and of those that networks learn from.

    Raises:
        ContractError: if timm has none of that kind.
    """
    with raising(
        lambda error: ContractError(
            f"{augmentation} must be one that timm has, but it failed ({in_a_line(error)})."
        )
    ):
        return _transforms_of(preprocessing, augmentation)


def _transforms_of(
    preprocessing: Preprocessing, augmentation: Augmentation
) -> tuple[Transform, Transform]:
    from timm.data.transforms_factory import transforms_imagenet_eval, transforms_imagenet_train
    from torchvision import transforms

    (height, width), (low, high) = preprocessing.size, preprocessing.value_range
    common: dict[str, Any] = {
        "img_size": preprocessing.size,
        "interpolation": preprocessing.interpolation,
        "use_prefetcher": True,  # pixels are normalised on the device
    }
    plain = transforms_imagenet_eval(crop_pct=preprocessing.crop, **common)
    augmenting = transforms_imagenet_train(
        scale=augmentation.scale,  # timm's own if None, which is that of the paper
        hflip=augmentation.flip,
        color_jitter=augmentation.color_jitter,
        auto_augment=augmentation.auto_augment,
        mean=tuple((mean - low) / (high - low) for mean in preprocessing.mean),  # fills corners
        **common,
    )
    if augmentation.scale is None and max(preprocessing.size) <= SMALL:
        shift = transforms.RandomCrop(
            (height, width), padding=(width // 8, height // 8), padding_mode="edge"
        )
        # In the place of the first step, which cuts out and resizes.
        steps = [*plain.transforms[:-1], shift, *augmenting.transforms[1:]]
        augmenting = transforms.Compose(steps)
    return plain, augmenting
