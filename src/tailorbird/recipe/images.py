"""Tables of [accuracy] on pictures: how they become images, and how these change in training."""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from tailorbird.recipe.section import Count, Section

_Fraction = Annotated[float, Field(ge=0, le=1)]
_Finite = Annotated[float, Field(allow_inf_nan=False)]
_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_Share = Annotated[float, Field(gt=0, le=1)]


class PreprocessingSection(Section):
    """How pictures become images; what is left out follows from the weights, or is a default.

    Attributes:
        size: height and width of an image, or one number for both; that of the space if left out.
        crop: share of the resized picture's shorter side that is kept, from its middle.
        interpolation: how pictures are resized.
        mean: mean of each channel, which is taken off.
        std: standard deviation of each channel, by which it is divided.
        channels: order of the channels, or grey.
        value_range: range of pixels, before the mean is taken off.
    """

    size: tuple[Count, Count] | None = Field(default=None, strict=False)
    crop: Annotated[float, Field(gt=0, le=1)] | None = None
    interpolation: Literal["bicubic", "bilinear", "nearest", "lanczos"] | None = None
    mean: tuple[_Finite, ...] | None = Field(default=None, strict=False)
    std: tuple[_Positive, ...] | None = Field(default=None, strict=False)
    channels: Literal["rgb", "bgr", "grey"] | None = None
    value_range: tuple[_Finite, _Finite] | None = Field(default=None, strict=False)

    @field_validator("size", mode="before")
    @classmethod
    def _square(cls, size: object) -> object:
        """One number stands for both sides."""
        return (size, size) if isinstance(size, int) and not isinstance(size, bool) else size

    def stated(self) -> dict[str, Any]:
        """What the recipe says, by the names that `Preprocessing` has for it."""
        return self.model_dump(exclude_none=True)


class AugmentationSection(Section):
    """Random changes of pictures that networks learn from.

    Attributes:
        scale: least and largest share of a picture's area that is cut out and resized.
        flip: chance that a picture is mirrored.
        color_jitter: how far brightness, contrast and saturation are changed.
        auto_augment: policy in timm's notation, such as `rand-m9-mstd0.5`.
    """

    scale: tuple[_Share, _Share] | None = Field(default=None, strict=False)
    flip: _Fraction = 0.5
    color_jitter: _Fraction = 0.0
    auto_augment: Annotated[str, Field(min_length=1)] | None = None

    @field_validator("scale")
    @classmethod
    def _rises(cls, scale: tuple[float, float] | None) -> tuple[float, float] | None:
        if scale is not None and not scale[0] <= scale[1]:
            raise PydanticCustomError(
                "accuracy",
                "[accuracy.augmentation] scale must be the least and the largest share of a "
                "picture's area, but falls",
            )
        return scale
