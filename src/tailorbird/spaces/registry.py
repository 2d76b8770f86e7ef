"""Spaces by the names that recipes and the command line know."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal, Protocol

from pydantic import ConfigDict, Field, PositiveInt, ValidationError, validate_call

from tailorbird.errors import RecipeError, naming_extras, nearest, shown
from tailorbird.spaces.cells import NasBench201
from tailorbird.spaces.chains import (
    Chain,
    OFAMobileNetV3,
    fbnet_layout,
    macro_mobilenetv2_layout,
)
from tailorbird.spaces.chains.regnet import regnet_layout
from tailorbird.spaces.elastic import Elastic
from tailorbird.spaces.elastic.mobile_networks import mobile_elastic
from tailorbird.spaces.elastic.residual_networks import (
    cifar_elastic,
    digits_elastic,
    elastic_resnet,
)
from tailorbird.spaces.elastic.vision_transformers import Member, elastic_vit
from tailorbird.spaces.space import SearchSpace
from tailorbird.spaces.stitching.below_larger import BelowLargerAnchor
from tailorbird.spaces.stitching.families.cifar_resnet import CifarResNet
from tailorbird.spaces.stitching.families.deit import DeiT
from tailorbird.spaces.stitching.families.deit3 import DeiT3
from tailorbird.spaces.stitching.families.digits_resnet import DigitsResNet
from tailorbird.spaces.stitching.families.efficientnet_lite import EfficientNetLite
from tailorbird.spaces.stitching.families.resnet import ResNet
from tailorbird.spaces.stitching.families.swin import Swin
from tailorbird.spaces.stitching.family import Family
from tailorbird.spaces.stitching.space import StitchSpace
from tailorbird.spaces.stitching.stitch import Reach, Rule
from tailorbird.spaces.stitching.two_way import TwoWay
from tailorbird.spaces.stitching.windows import Windows

Classes = Annotated[int, Field(ge=2, le=100_000)]

_Factory = Callable[..., SearchSpace]


class _Published(Family, Protocol):
    """A family as a dataclass, for the number of classes that it was published with."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


_AtBatch = Callable[[int], _Published]
"""A family by its batch size."""


def _with_windows(
    at_batch: _AtBatch, kernel: int = 2, max_stitches: int = 1, skipped_stages: tuple[int, ...] = ()
) -> _Factory:
    """Maker of spaces with stitches inside windows, for settings with these defaults."""
    usual_kernel, usual_max_stitches, n_published = kernel, max_stitches, at_batch(1).n_classes

    def space(
        *,
        batch: int = 1,
        kernel: int = usual_kernel,
        stride: int = 1,
        pairs: Reach = "neighbours",
        max_stitches: int = usual_max_stitches,
        below_larger_anchor: bool = False,
        n_classes: Classes = n_published,
    ) -> StitchSpace:
        rule = _limited(Windows(kernel, stride, pairs, skipped_stages), below_larger_anchor)
        return StitchSpace(
            _with_classes(at_batch(batch), n_classes), rule, max_stitches=max_stitches
        )

    return space


def _with_rule(
    at_batch: _AtBatch, rule: Callable[[Reach], Rule], max_stitches: int = 1
) -> _Factory:
    """Maker of spaces with a rule that has one setting: which pairs of anchors are joined."""
    usual_max_stitches, n_published = max_stitches, at_batch(1).n_classes

    def space(
        *,
        batch: int = 1,
        pairs: Reach = "neighbours",
        max_stitches: int = usual_max_stitches,
        below_larger_anchor: bool = False,
        n_classes: Classes = n_published,
    ) -> StitchSpace:
        family = _with_classes(at_batch(batch), n_classes)
        limited = _limited(rule(pairs), below_larger_anchor)
        return StitchSpace(family, limited, max_stitches=max_stitches)

    return space


def _with_either(at_batch: _AtBatch) -> _Factory:
    """Maker of spaces with stitches inside windows, or with two-way stitches."""
    n_published = at_batch(1).n_classes

    def space(
        *,
        batch: int = 1,
        stitches: Literal["windows", "two-way"] = "windows",
        kernel: int | None = None,
        stride: int | None = None,
        pairs: Reach = "neighbours",
        max_stitches: int | None = None,
        below_larger_anchor: bool = False,
        n_classes: Classes = n_published,
    ) -> StitchSpace:
        rule: Rule
        if stitches == "two-way":
            if kernel is not None or stride is not None:
                raise ValueError("two-way stitches have no windows, so no kernel and no stride.")
            rule, usual = TwoWay(pairs), 2
        else:
            kernel, stride = 2 if kernel is None else kernel, 1 if stride is None else stride
            rule, usual = Windows(kernel, stride, pairs), 1
        family = _with_classes(at_batch(batch), n_classes)
        return StitchSpace(
            family,
            _limited(rule, below_larger_anchor),
            max_stitches=usual if max_stitches is None else max_stitches,
        )

    return space


def _limited(rule: Rule, below_larger_anchor: bool) -> Rule:
    """A rule, or its stitches whose networks cost less than the larger of their anchors."""
    return BelowLargerAnchor(rule) if below_larger_anchor else rule


def _with_classes(family: _Published, n_classes: int) -> Family:
    """The family with heads for so many classes.

    Unless it was published so, it has a name of its own: its weights are others.
    """
    if n_classes == family.n_classes:
        return family
    return replace(family, n_classes=n_classes, name=f"{family.name}-{n_classes}-classes")


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


def _digits_elastic(*, batch: PositiveInt = 1, n_classes: Classes = 10) -> Elastic:
    return digits_elastic(batch, n_classes)


def _cifar_elastic(*, batch: PositiveInt = 1, n_classes: Classes = 10) -> Elastic:
    return cifar_elastic(batch, n_classes)


def _elastic_resnet(
    *,
    batch: PositiveInt = 1,
    n_layers: Literal[20, 32, 44, 56] = 20,
    n_classes: Classes = 10,
) -> Elastic:
    return elastic_resnet(batch, n_layers, n_classes)


def _elastic_vit(
    *,
    batch: PositiveInt = 1,
    member: Member = "ti",
    resolution: PositiveInt = 224,
    patch: PositiveInt = 16,
    n_classes: Classes = 1000,
) -> Chain:
    return elastic_vit(batch, member, resolution, patch, n_classes)


def _mobile_elastic(
    *, batch: PositiveInt = 1, resolution: PositiveInt = 224, n_classes: Classes = 1000
) -> Elastic:
    return mobile_elastic(batch, resolution, n_classes)


def _regnet(
    *, batch: PositiveInt = 1, resolution: PositiveInt = 224, n_classes: Classes = 1000
) -> Chain:
    return Chain(regnet_layout(batch, resolution, n_classes))


def _without_windows(*skipped_stages: int) -> Callable[[Reach], Rule]:
    """The rule of anchors of which no two are equally deep: there is nothing to slide over."""
    return lambda pairs: Windows(2, 1, pairs, skipped_stages)


SPACES: Mapping[str, _Factory] = {
    "cifar-elastic": _cifar_elastic,
    "cifar-resnet": _with_rule(CifarResNet, _without_windows()),
    "deit-ti-s-b": _with_either(DeiT),
    "deit3-s-l": _with_rule(DeiT3, TwoWay, max_stitches=2),
    "digits-elastic": _digits_elastic,
    "digits-resnet": _with_windows(DigitsResNet, kernel=3, max_stitches=3),
    "efficientnet-lite-0-1-2": _with_windows(EfficientNetLite),
    "elastic-resnet": _elastic_resnet,
    "elastic-vit": _elastic_vit,
    "fbnet": _fbnet,
    "macro-mobilenetv2": _macro_mobilenetv2,
    "mobile-elastic": _mobile_elastic,
    "nasbench201": _nasbench201,
    "ofa-mobilenetv3": _ofa_mobilenetv3,
    "regnet": _regnet,
    "resnet-18-50": _with_rule(ResNet, _without_windows(0, 3)),
    "swin-ti-s-b": _with_windows(Swin, skipped_stages=(3,)),
}
"""The maker of the space of each name; its keyword arguments are the settings of that space."""


SETTINGS: Mapping[str, str] = {
    "kernel": "blocks of each anchor that a window of stitches spans",
    "stride": "blocks between windows",
    "stitches": "where they are: inside windows, or in both directions",
    "pairs": "anchors that stitches join: neighbours by size, or all of them",
    "max_stitches": "stitches that a network may cross",
    "below_larger_anchor": "leaves out stitches whose networks cost as much as the larger anchor",
    "n_classes": "classes that networks tell apart; others than the published draw a new head",
    "resolution": "pixels of an image's side",
    "width_mult": "factor of all widths",
    "n_layers": "depth of the largest network",
    "member": "size of the largest network",
    "patch": "pixels of a patch's side",
}
"""What settings of spaces are, but for `batch`, which [device] says."""


def get(name: str, **settings: object) -> SearchSpace:
    """The space of that name; settings that are not given have the published values.

    Raises:
        RecipeError: if the name or a setting is unknown, or a value does not fit.
        MissingPackageError: if it cannot be made without a package that is not installed.
    """
    if name not in SPACES:
        raise RecipeError(f"There is no space named {name!r}; {nearest(name, SPACES)}")
    factory = SPACES[name]
    known = inspect.signature(factory).parameters
    for setting in settings:
        if setting not in known:
            hint = nearest(setting, known)
            raise RecipeError(f"Space {name!r} has no setting {shown(setting)}; {hint}")
    try:
        with naming_extras():  # some are made of torch's modules from the start
            return validate_call(config=ConfigDict(strict=True))(factory)(**settings)
    except ValidationError as error:
        first = error.errors()[0]
        raise RecipeError(
            f"Setting {first['loc'][0]!r} of space {name!r}: {first['msg']}, "
            f"but got {shown(first['input'])}."
        ) from None
    except ValueError as error:
        raise RecipeError(f"Space {name!r}: {error}") from None
