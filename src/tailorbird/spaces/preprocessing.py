"""Preprocessing: how pictures become what networks take, without which weights are worth little."""

import json
import math
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from tailorbird.errors import ContractError, shown

INTERPOLATIONS = ("bicubic", "bilinear", "nearest", "lanczos")
CHANNELS = ("rgb", "bgr", "grey")

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How a picture becomes what networks take.

    Its shorter side is resized to `size / crop`, the middle is cut out, values of pixels are
    brought into `value_range`, less the mean of each channel, divided by its deviation.

    Attributes:
        size: height and width that networks take, pixels.
        crop: share of the resized picture's shorter side that is cut out.
        interpolation: of resizing.
        mean: of each channel, in the unit of `value_range`.
        std: of each channel, in the unit of `value_range`.
        channels: `rgb`, `bgr` or `grey`.
        value_range: values of the darkest and the lightest pixel.

    Raises:
        ContractError: if something is not what it must be.
    """

    size: tuple[int, int]
    crop: float = 0.875
    interpolation: str = "bicubic"
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    channels: str = "rgb"
    value_range: tuple[float, float] = (0.0, 1.0)

    def __post_init__(self) -> None:
        for name, known in (("interpolation", INTERPOLATIONS), ("channels", CHANNELS)):
            if getattr(self, name) not in known:
                raise ContractError(
                    f"{name} must be one of {', '.join(map(repr, known))}, but is "
                    f"{shown(getattr(self, name))}."
                )
        n_values = {"size": 2, "value_range": 2, "mean": self.n_channels, "std": self.n_channels}
        for name, n in n_values.items():
            values = getattr(self, name)
            if len(values) != n or not all(map(math.isfinite, values)):
                raise ContractError(
                    f"{name} must be {n} finite number{'s' * (n > 1)}, but is {shown(values)}."
                )
        if min(self.size) < 1 or not 0 < self.crop <= 1:
            raise ContractError(
                "size must be above 0, and crop above 0 and at most 1, but they are "
                f"{shown(self.size)} and {shown(self.crop)}."
            )
        if min(self.std) <= 0 or not self.value_range[0] < self.value_range[1]:
            raise ContractError(
                "std must be above 0, and value_range rise, but they are "
                f"{shown(self.std)} and {shown(self.value_range)}."
            )

    @property
    def n_channels(self) -> int:
        """Number of channels."""
        return 1 if self.channels == "grey" else 3

    @property
    def scale_and_offset(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Factors and summands by channel, which normalise pixels of 0 to 255."""
        low, high = self.value_range
        scale = tuple((high - low) / 255 / std for std in self.std)
        offset = tuple((low - mean) / std for mean, std in zip(self.mean, self.std, strict=True))
        return scale, offset

    def differences(self, other: Self) -> list[str]:
        """Names of what differs."""
        return [f.name for f in fields(self) if getattr(self, f.name) != getattr(other, f.name)]

    def to_json(self) -> str:
        """Text from which `from_json` makes the same again."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Preprocessing of a text that `to_json` gave."""
        read: dict[str, Any] = json.loads(text)
        values: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in read.items()
        }
        return cls(**values)

    def __str__(self) -> str:
        height, width = self.size
        low, high = self.value_range
        return (
            f"{height} x {width} pixels, {self.channels}, crop {self.crop:g}, "
            f"{self.interpolation}, values {low:g} to {high:g}, mean {_listed(self.mean)}, "
            f"std {_listed(self.std)}"
        )


def _listed(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:.4g}" for value in values)
