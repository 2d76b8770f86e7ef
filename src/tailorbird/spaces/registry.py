"""The spaces that recipes and the command line know by name."""

import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Literal, TypeVar

from pydantic import ConfigDict, Field, PositiveInt, ValidationError, validate_call

from tailorbird.errors import RecipeError, nearest, shown
from tailorbird.spaces.cells import NasBench201
from tailorbird.spaces.chains import (
    Chain,
    OFAMobileNetV3,
    fbnet_layout,
    macro_mobilenetv2_layout,
)
from tailorbird.spaces.space import SearchSpace
from tailorbird.spaces.stitching.families.cifar_resnet import CifarResNet
from tailorbird.spaces.stitching.families.deit import DeiT
from tailorbird.spaces.stitching.families.deit3 import DeiT3
from tailorbird.spaces.stitching.families.digits_resnet import DigitsResNet
from tailorbird.spaces.stitching.families.efficientnet_lite import EfficientNetLite
from tailorbird.spaces.stitching.families.resnet import ResNet
from tailorbird.spaces.stitching.families.swin import Swin
from tailorbird.spaces.stitching.space import StitchSpace
from tailorbird.spaces.stitching.stitch import Reach
from tailorbird.spaces.stitching.two_way import TwoWay
from tailorbird.spaces.stitching.windows import Windows

Classes = Annotated[int, Field(ge=2, le=100_000)]

_Family = TypeVar("_Family", DigitsResNet, CifarResNet, DeiT, Swin, ResNet, EfficientNetLite, DeiT3)


def _of(family: _Family, n_classes: int) -> _Family:
    """The family with heads for so many classes.

    Unless it was published so, it has a name of its own: its weights are others.
    """
    if n_classes == family.n_classes:
        return family
    return replace(family, n_classes=n_classes, name=f"{family.name}-{n_classes}-classes")


def _digits_resnet(
    *,
    batch: int = 1,
    kernel: int = 3,
    stride: int = 1,
    pairs: Reach = "neighbours",
    max_stitches: int = 3,
    n_classes: Classes = 10,
) -> StitchSpace:
    rule = Windows(kernel, stride, pairs)
    return StitchSpace(_of(DigitsResNet(batch), n_classes), rule, max_stitches=max_stitches)


def _cifar_resnet(
    *,
    batch: int = 1,
    pairs: Reach = "neighbours",
    max_stitches: int = 1,
    n_classes: Classes = 10,
) -> StitchSpace:
    # No two anchors are of equal depth, so there is nothing to slide a window over.
    return StitchSpace(
        _of(CifarResNet(batch), n_classes), Windows(2, 1, pairs), max_stitches=max_stitches
    )


def _deit_ti_s_b(
    *,
    batch: int = 1,
    stitches: Literal["windows", "two-way"] = "windows",
    kernel: int | None = None,
    stride: int | None = None,
    pairs: Reach = "neighbours",
    max_stitches: int | None = None,
    n_classes: Classes = 1000,
) -> StitchSpace:
    if stitches == "two-way":
        if kernel is not None or stride is not None:
            raise ValueError("two-way stitches have no windows, so no kernel and no stride.")
        return StitchSpace(
            _of(DeiT(batch), n_classes),
            TwoWay(pairs),
            max_stitches=2 if max_stitches is None else max_stitches,
        )
    windows = Windows(2 if kernel is None else kernel, 1 if stride is None else stride, pairs)
    return StitchSpace(
        _of(DeiT(batch), n_classes),
        windows,
        max_stitches=1 if max_stitches is None else max_stitches,
    )


def _swin_ti_s_b(
    *,
    batch: int = 1,
    kernel: int = 2,
    stride: int = 1,
    pairs: Reach = "neighbours",
    max_stitches: int = 1,
    n_classes: Classes = 1000,
) -> StitchSpace:
    rule = Windows(kernel, stride, pairs, (3,))
    return StitchSpace(_of(Swin(batch), n_classes), rule, max_stitches=max_stitches)


def _resnet_18_50(
    *,
    batch: int = 1,
    pairs: Reach = "neighbours",
    max_stitches: int = 1,
    n_classes: Classes = 1000,
) -> StitchSpace:
    # No two anchors are of equal depth, so there is nothing to slide a window over.
    return StitchSpace(
        _of(ResNet(batch), n_classes), Windows(2, 1, pairs, (0, 3)), max_stitches=max_stitches
    )


def _efficientnet_lite(
    *,
    batch: int = 1,
    kernel: int = 2,
    stride: int = 1,
    pairs: Reach = "neighbours",
    max_stitches: int = 1,
    n_classes: Classes = 1000,
) -> StitchSpace:
    rule = Windows(kernel, stride, pairs)
    return StitchSpace(_of(EfficientNetLite(batch), n_classes), rule, max_stitches=max_stitches)


def _deit3_s_l(
    *,
    batch: int = 1,
    pairs: Reach = "neighbours",
    max_stitches: int = 2,
    n_classes: Classes = 1000,
) -> StitchSpace:
    return StitchSpace(_of(DeiT3(batch), n_classes), TwoWay(pairs), max_stitches=max_stitches)


def _nasbench201(*, batch: int = 1, n_classes: int = 10) -> NasBench201:
    return NasBench201(batch, n_classes)


def _fbnet(*, batch: PositiveInt = 1, n_classes: PositiveInt = 100) -> Chain:
    return Chain(fbnet_layout(batch, n_classes))


def _macro_mobilenetv2(*, batch: PositiveInt = 1, n_classes: PositiveInt = 10) -> Chain:
    return Chain(macro_mobilenetv2_layout(batch, n_classes))


def _ofa_mobilenetv3(
    *,
    batch: PositiveInt = 1,
    resolution: int = 224,
    width_mult: float = 1.0,
    n_classes: PositiveInt = 1000,
) -> Chain:
    return Chain(OFAMobileNetV3(batch, resolution, width_mult, n_classes))


_SPACES: dict[str, Callable[..., SearchSpace]] = {
    "cifar-resnet": _cifar_resnet,
    "deit-ti-s-b": _deit_ti_s_b,
    "deit3-s-l": _deit3_s_l,
    "digits-resnet": _digits_resnet,
    "efficientnet-lite-0-1-2": _efficientnet_lite,
    "fbnet": _fbnet,
    "macro-mobilenetv2": _macro_mobilenetv2,
    "nasbench201": _nasbench201,
    "ofa-mobilenetv3": _ofa_mobilenetv3,
    "resnet-18-50": _resnet_18_50,
    "swin-ti-s-b": _swin_ti_s_b,
}


def get(name: str, **settings: object) -> SearchSpace:
    """The space of that name; settings that are not given have the published values.

    Raises:
        RecipeError: if the name or a setting is unknown, or a value does not fit.
    """
    if name not in _SPACES:
        raise RecipeError(f"There is no space named {name!r}; {nearest(name, _SPACES)}")
    factory = _SPACES[name]
    known = inspect.signature(factory).parameters
    for setting in settings:
        if setting not in known:
            hint = nearest(setting, known)
            raise RecipeError(f"Space {name!r} has no setting {shown(setting)}; {hint}")
    try:
        return validate_call(config=ConfigDict(strict=True))(factory)(**settings)
    except ValidationError as error:
        first = error.errors()[0]
        raise RecipeError(
            f"Setting {first['loc'][0]!r} of space {name!r}: {first['msg']}, "
            f"but got {shown(first['input'])}."
        ) from None
    except ValueError as error:
        raise RecipeError(f"Space {name!r}: {error}") from None
