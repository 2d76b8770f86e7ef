"""The spaces that recipes and the command line know by name."""

import inspect
from collections.abc import Callable

from pydantic import ConfigDict, ValidationError, validate_call

from tailorbird.errors import RecipeError, nearest
from tailorbird.spaces.space import SearchSpace
from tailorbird.spaces.stitching.deit import DeiT
from tailorbird.spaces.stitching.digits_resnet import DigitsResNet
from tailorbird.spaces.stitching.space import StitchSpace


def _digits_resnet(
    *, batch: int = 1, kernel: int = 3, stride: int = 1, max_stitches: int = 3
) -> StitchSpace:
    family = DigitsResNet(batch=batch)
    return StitchSpace(family, kernel=kernel, stride=stride, max_stitches=max_stitches)


def _deit_ti_s_b(
    *, batch: int = 1, kernel: int = 2, stride: int = 1, max_stitches: int = 1
) -> StitchSpace:
    return StitchSpace(DeiT(batch), kernel=kernel, stride=stride, max_stitches=max_stitches)


_SPACES: dict[str, Callable[..., SearchSpace]] = {
    "deit-ti-s-b": _deit_ti_s_b,
    "digits-resnet": _digits_resnet,
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
            raise RecipeError(f"Space {name!r} has no setting {setting!r}; {hint}")
    try:
        return validate_call(config=ConfigDict(strict=True))(factory)(**settings)
    except ValidationError as error:
        first = error.errors()[0]
        raise RecipeError(
            f"Setting {first['loc'][0]!r} of space {name!r}: {first['msg']}, "
            f"but got {first['input']!r}."
        ) from None
    except ValueError as error:
        raise RecipeError(f"Space {name!r}: {error}") from None
